"""The standard library's multiprocessing.process, under shoal's name."""
import multiprocessing.process
import sys

sys.modules[__name__] = multiprocessing.process

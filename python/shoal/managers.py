"""The standard library's multiprocessing.managers, under shoal's name."""
import multiprocessing.managers
import sys

sys.modules[__name__] = multiprocessing.managers

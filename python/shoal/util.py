"""The standard library's multiprocessing.util, under shoal's name."""
import multiprocessing.util
import sys

sys.modules[__name__] = multiprocessing.util

"""The standard library's multiprocessing.synchronize, under shoal's name."""
import multiprocessing.synchronize
import sys

sys.modules[__name__] = multiprocessing.synchronize

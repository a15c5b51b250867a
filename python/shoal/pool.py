"""The standard library's multiprocessing.pool, under shoal's name."""
import multiprocessing.pool
import sys

sys.modules[__name__] = multiprocessing.pool

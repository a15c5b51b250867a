"""The standard library's multiprocessing.heap, under shoal's name."""
import multiprocessing.heap
import sys

sys.modules[__name__] = multiprocessing.heap

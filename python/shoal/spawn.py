"""The standard library's multiprocessing.spawn, under shoal's name."""
import multiprocessing.spawn
import sys

sys.modules[__name__] = multiprocessing.spawn

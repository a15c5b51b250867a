"""The standard library's multiprocessing.forkserver, under shoal's name."""
import multiprocessing.forkserver
import sys

sys.modules[__name__] = multiprocessing.forkserver

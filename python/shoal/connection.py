"""The standard library's multiprocessing.connection, under shoal's name."""
import multiprocessing.connection
import sys

sys.modules[__name__] = multiprocessing.connection

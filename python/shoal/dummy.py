"""The standard library's multiprocessing.dummy, under shoal's name."""
import multiprocessing.dummy.connection
import sys

sys.modules[__name__] = multiprocessing.dummy
sys.modules[__name__ + ".connection"] = multiprocessing.dummy.connection

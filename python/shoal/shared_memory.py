"""The standard library's multiprocessing.shared_memory, under shoal's name."""
import multiprocessing.shared_memory
import sys

sys.modules[__name__] = multiprocessing.shared_memory

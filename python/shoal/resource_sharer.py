"""The standard library's multiprocessing.resource_sharer, under shoal's name."""
import multiprocessing.resource_sharer
import sys

sys.modules[__name__] = multiprocessing.resource_sharer

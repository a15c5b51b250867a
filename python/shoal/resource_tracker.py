"""The standard library's multiprocessing.resource_tracker, under shoal's name."""
import multiprocessing.resource_tracker
import sys

sys.modules[__name__] = multiprocessing.resource_tracker

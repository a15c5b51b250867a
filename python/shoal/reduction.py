"""The standard library's multiprocessing.reduction, under shoal's name."""
import multiprocessing.reduction
import sys

sys.modules[__name__] = multiprocessing.reduction

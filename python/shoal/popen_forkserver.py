"""Popen of the start method, under the name that multiprocessing has for it."""
from ._popen import ForkServerPopen as Popen

__all__ = ["Popen"]

"""Popen of the start method, under the name that multiprocessing has for it."""
from ._popen import ForkPopen as Popen

__all__ = ["Popen"]

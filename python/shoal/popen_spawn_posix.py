"""Popen of the start method, under the name that multiprocessing has for it."""
from ._popen import SpawnPopen as Popen

__all__ = ["Popen"]

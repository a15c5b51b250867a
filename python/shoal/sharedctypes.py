"""Values and arrays of ctypes in shared memory: the standard library's, with shoal's locks."""
import multiprocessing.sharedctypes as standard
from multiprocessing.sharedctypes import (RawArray, RawValue, Synchronized, SynchronizedArray, SynchronizedBase,
                                          SynchronizedString, copy)

__all__ = ["RawValue", "RawArray", "Value", "Array", "copy", "synchronized"]


def _context(ctx):
    if ctx is None:
        from .context import _default_context
        ctx = _default_context.get_context()
    return ctx


def Value(typecode_or_type, *args, lock=True, ctx=None):
    """A ctypes object in shared memory; lock: True for one of its own, False for none, or the lock to use."""
    return standard.Value(typecode_or_type, *args, lock=lock, ctx=_context(ctx))


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """An array of ctypes in shared memory, of a size (zeros) or filled from a sequence; lock: as for Value."""
    return standard.Array(typecode_or_type, size_or_initializer, lock=lock, ctx=_context(ctx))


def synchronized(obj, lock=None, ctx=None):
    """Give a ctypes object in shared memory a lock."""
    return standard.synchronized(obj, lock, _context(ctx))

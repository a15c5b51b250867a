"""Values and arrays of ctypes in the family's shared memory, which travel in any message, and their locks."""
import ctypes
import multiprocessing.sharedctypes as standard
import weakref
from multiprocessing.reduction import ForkingPickler
from multiprocessing.sharedctypes import typecode_to_type

from . import _core
from ._handle import Handle

__all__ = ["RawValue", "RawArray", "Value", "Array", "copy", "synchronized"]


class _Memory(Handle, _core.Memory):
    """The bytes that an object of ctypes has in common with its copies in other processes."""

    def __init__(self, size):
        self._open(size)


def _new(type_):
    return rebuild_ctype(type_, _Memory(ctypes.sizeof(type_)), None)


def _type_of(typecode_or_type):
    return typecode_to_type.get(typecode_or_type, typecode_or_type)


def RawValue(typecode_or_type, *args):
    """A ctypes object in shared memory, without a lock."""
    value = _new(_type_of(typecode_or_type))
    value.__init__(*args)
    return value


def RawArray(typecode_or_type, size_or_initializer):
    """An array of ctypes in shared memory, of a size (zeros) or filled from a sequence; without a lock."""
    item = _type_of(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new(item * size_or_initializer)
    array = _new(item * len(size_or_initializer))
    array.__init__(*size_or_initializer)
    return array


def _with_lock(obj, lock, ctx):
    if lock is False:
        return obj
    if lock is True or lock is None:
        lock = None
    elif not hasattr(lock, "acquire"):
        raise AttributeError("%r has no method 'acquire'" % (lock,))
    return synchronized(obj, lock, ctx)


def Value(typecode_or_type, *args, lock=True, ctx=None):
    """A ctypes object in shared memory; lock: True for one of its own, False for none, or the lock to use."""
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """An array of ctypes in shared memory, of a size (zeros) or filled from a sequence; lock: as for Value."""
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def copy(obj):
    """Another object with the same content, in shared memory of its own, without a lock."""
    other = _new(type(obj))
    ctypes.pointer(other)[0] = obj
    return other


def synchronized(obj, lock=None, ctx=None):
    """Give a ctypes object in shared memory a lock, which each access to its value then holds; None: an RLock."""
    assert not isinstance(obj, standard.SynchronizedBase), "object already synchronized"
    return _wrapper_for(type(obj))(obj, lock, ctx)


def _wrapper_for(type_):
    if issubclass(type_, ctypes._SimpleCData):
        return Synchronized
    if issubclass(type_, ctypes.Array):
        return SynchronizedString if type_._type_ is ctypes.c_char else SynchronizedArray
    if type_ not in class_cache:
        fields = {field[0]: make_property(field[0]) for field in type_._fields_}
        class_cache[type_] = type("Synchronized" + type_.__name__, (SynchronizedBase,), fields)
    return class_cache[type_]


def reduce_ctype(obj):
    """How objects of ctypes are pickled: by the name of their shared memory, or by value where they have none."""
    memory = getattr(obj, "_wrapper", None)
    if memory is None:
        return obj.__reduce__()
    if not isinstance(memory, _Memory):
        return standard.reduce_ctype(obj)
    if isinstance(obj, ctypes.Array):
        return rebuild_ctype, (obj._type_, memory, obj._length_)
    return rebuild_ctype, (type(obj), memory, None)


def rebuild_ctype(type_, memory, length):
    """The object of a type, or array of a length, that lies in this memory."""
    if length is not None:
        type_ = type_ * length
    ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(memory)
    obj._wrapper = memory
    return obj


def _rebuild_synchronized(parts, lock):
    return synchronized(rebuild_ctype(*parts), lock)


make_property = _core.SynchronizedAttribute
class_cache = weakref.WeakKeyDictionary()  # types of structures: what wraps them


class SynchronizedBase(_core.Synchronized, standard.SynchronizedBase):
    """A ctypes object and the lock that each access to it holds. Holding it for longer is done by `with`."""

    def __init__(self, obj, lock=None, ctx=None):
        if not lock:
            if ctx is None:
                from .context import _default_context
                ctx = _default_context.get_context()
            lock = ctx.RLock()
        self._open(obj, lock)

    def __reduce__(self):
        rebuild, parts = reduce_ctype(self._obj)
        if rebuild is not rebuild_ctype:  # not in memory of ours
            return synchronized, (self._obj, self._lock)
        return _rebuild_synchronized, (parts, self._lock)


class Synchronized(SynchronizedBase, standard.Synchronized):
    value = make_property("value")


class SynchronizedArray(_core.SynchronizedArray, SynchronizedBase, standard.SynchronizedArray):
    pass


class SynchronizedString(SynchronizedArray, standard.SynchronizedString):
    value = make_property("value")
    raw = make_property("raw")

"""Locks and other ways to wait for each other, on the family's shared memory: whoever dies, blocks nobody."""
import multiprocessing.synchronize as standard
import threading
from multiprocessing import process
from multiprocessing.synchronize import SEM_VALUE_MAX, Barrier, Condition  # noqa: F401

from . import _core
from ._handle import Handle

__all__ = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"]

SemLock = standard.SemLock


class _LockView:
    """A lock as multiprocessing's inner object shows it: what some packages look at."""

    maxvalue = 1

    def __init__(self, lock):
        self._lock = lock

    @property
    def name(self):
        return "shoal-" + self._lock._ref().hex()

    @property
    def kind(self):
        return 0 if self._lock._recursive else 1

    @property
    def handle(self):
        return int.from_bytes(self._lock._ref()[8:16], "little")

    def _is_mine(self):
        return self._lock._owner()[4]

    def _count(self):
        """How often this process holds it."""
        pid, _, depth, alive, _ = self._lock._owner()
        return depth if alive and pid == process.os.getpid() else 0

    def _get_value(self):
        return 0 if self._lock._owner()[3] else 1

    def _is_zero(self):
        return self._get_value() == 0

    def acquire(self, block=True, timeout=None):
        return self._lock.acquire(block, timeout)

    def release(self):
        self._lock.release()

    def __enter__(self):
        return self._lock.acquire()

    def __exit__(self, *exception):
        self._lock.release()


class _Lock(Handle, _core.Lock):
    def __init__(self, *, ctx=None):
        self._open(self._recursive)

    @property
    def _semlock(self):
        return _LockView(self)

    def locked(self):
        """Whether somebody holds it."""
        return self._owner()[3]

    def _describe_owner(self):
        """(name of the owner, how often it holds the lock), as far as this process can tell."""
        pid, _, depth, alive, is_mine = self._owner()
        if not alive:
            return "None", 0
        if is_mine:
            name = process.current_process().name
            if threading.current_thread().name != "MainThread":
                name += "|" + threading.current_thread().name
            return name, depth
        return ("SomeOtherThread" if pid == process.os.getpid() else "SomeOtherProcess"), "nonzero"


class Lock(_Lock):
    """Held by one at a time; any process or thread may release it.

    It is taken from an owner that died as if that had released it: owner_died then says so.
    """

    _recursive = False

    def __repr__(self):
        return "<%s(owner=%s)>" % (type(self).__name__, self._describe_owner()[0])


class RLock(_Lock):
    """Held by one thread at a time, as often as it likes; only that may release it."""

    _recursive = True

    def __repr__(self):
        return "<%s(%s, %s)>" % ((type(self).__name__,) + self._describe_owner())


class _SemaphoreView:
    """A semaphore as multiprocessing's inner object shows it."""

    kind = 1

    def __init__(self, semaphore):
        self._semaphore = semaphore
        self.maxvalue = semaphore._maximum

    @property
    def name(self):
        return "shoal-" + self._semaphore._ref().hex()

    @property
    def handle(self):
        return int.from_bytes(self._semaphore._ref()[8:16], "little")

    def _is_mine(self):
        return False

    def _count(self):
        return 0

    def _get_value(self):
        return self._semaphore.get_value()

    def _is_zero(self):
        return self._get_value() == 0

    def acquire(self, block=True, timeout=None):
        return self._semaphore.acquire(block, timeout)

    def release(self):
        self._semaphore.release()

    def __enter__(self):
        return self._semaphore.acquire()

    def __exit__(self, *exception):
        self._semaphore.release()


class Semaphore(Handle, _core.Semaphore):
    """A count of permits. Without owned a permit is a signal: anybody may give one, and the count stays as it is when
    somebody dies. With owned it is a resource: what a dead process held is given back, and value is the maximum.
    """

    _maximum = SEM_VALUE_MAX

    def __init__(self, value=1, *, ctx=None, owned=False):
        if not 0 <= value <= SEM_VALUE_MAX:
            raise ValueError("a semaphore has from 0 to %d permits, not %r" % (SEM_VALUE_MAX, value))
        if owned:
            self._maximum = value
        self._open(value, self._maximum, owned)

    def __getstate__(self):
        return self._ref(), self._maximum

    def __setstate__(self, state):
        ref, self._maximum = state
        self._attach(ref)

    @property
    def _semlock(self):
        return _SemaphoreView(self)

    def _describe_value(self):
        try:
            return self.get_value()
        except Exception:
            return "unknown"

    def __repr__(self):
        return "<%s(value=%s)>" % (type(self).__name__, self._describe_value())


class BoundedSemaphore(Semaphore):
    """A semaphore that is never released more often than it was acquired: ValueError."""

    def __init__(self, value=1, *, ctx=None):
        if not 0 < value <= SEM_VALUE_MAX:
            raise ValueError("a bounded semaphore has from 1 to %d permits, not %r" % (SEM_VALUE_MAX, value))
        self._maximum = value
        self._open(value, value, False)

    def __repr__(self):
        return "<%s(value=%s, maxvalue=%s)>" % (type(self).__name__, self._describe_value(), self._maximum)


class Event(Handle, _core.Event):
    """A flag that processes wait for."""

    def __init__(self, *, ctx=None):
        self._open()

    def __repr__(self):
        return "<%s at %#x %s>" % (type(self).__qualname__, id(self), "set" if self.is_set() else "unset")

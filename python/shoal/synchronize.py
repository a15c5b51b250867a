"""Locks and other ways to wait for each other, on the family's shared memory: whoever dies, blocks nobody."""
import multiprocessing.synchronize as standard
import threading
import time
from multiprocessing import process
from multiprocessing.synchronize import SEM_VALUE_MAX

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
    _misuse = ValueError  # raised by release where nobody holds it

    def __repr__(self):
        return "<%s(owner=%s)>" % (type(self).__name__, self._describe_owner()[0])


class RLock(_Lock):
    """Held by one thread at a time, as often as it likes; only that may release it."""

    _recursive = True
    _misuse = AssertionError  # raised by release where the caller does not hold it

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


def _refuse_release():
    raise ValueError("semaphore or lock released too many times")


class BoundedSemaphore(Semaphore):
    """A semaphore that is never released more often than it was acquired: ValueError."""

    def __init__(self, value=1, *, ctx=None):
        if not 0 <= value <= SEM_VALUE_MAX:
            raise ValueError("a bounded semaphore has from 0 to %d permits, not %r" % (SEM_VALUE_MAX, value))
        self._maximum = value
        self._open(value, max(value, 1), False)
        self._made()

    def _made(self):
        if self._maximum == 0:  # the core's have one permit at least: here nobody ever gives it
            self.release = _refuse_release

    def __setstate__(self, state):
        super().__setstate__(state)
        self._made()

    def __repr__(self):
        return "<%s(value=%s, maxvalue=%s)>" % (type(self).__name__, self._describe_value(), self._maximum)


class Event(Handle, _core.Event):
    """A flag that processes wait for."""

    def __init__(self, *, ctx=None):
        self._open()

    def __repr__(self):
        return "<%s at %#x %s>" % (type(self).__qualname__, id(self), "set" if self.is_set() else "unset")


class _Count:
    """A number as multiprocessing's Condition has it in a semaphore: what some packages look at."""

    def __init__(self, get_value):
        self.get_value = get_value


class Condition(Handle, _core.Condition):
    """Wait until another process says that something changed. lock: a Lock or RLock; None: an RLock of its own.

    Any other object with acquire and release will do too; what becomes of that when its owner dies is its own affair.
    """

    _misuse = AssertionError  # raised where the caller does not hold the lock

    def __new__(cls, lock=None, *, ctx=None):
        if cls is Condition and lock is not None and not isinstance(lock, _core.Lock):
            cls = _OtherCondition
        return super().__new__(cls)

    def __init__(self, lock=None, *, ctx=None):
        self._open(RLock() if lock is None else lock)
        self._made()

    def _made(self):
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __getstate__(self):
        return self._ref(), self._lock

    def __setstate__(self, state):
        self._attach(*state)
        self._made()

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *exception):
        return self._lock.__exit__(*exception)

    def wait_for(self, predicate, timeout=None):
        """Wait until predicate() is true, for timeout seconds at most: its last value."""
        result = predicate()
        end = None if timeout is None else time.monotonic() + timeout
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    @property
    def _sleeping_count(self):
        return _Count(self._waiters)

    @property
    def _woken_count(self):
        return _Count(int)

    _wait_semaphore = _woken_count

    def __repr__(self):
        try:
            waiters = self._waiters()
        except Exception:
            waiters = "unknown"
        return "<%s(%s, %s)>" % (type(self).__name__, self._lock, waiters)


class _OtherCondition(Condition):
    """A condition whose lock is not shoal's. The core's condition has a lock of its own, the inner one.

    Who waits takes the inner lock before it gives the outer one back, and who notifies, holding the outer one, takes
    the inner one too: so no notification falls between. Nobody waits for the outer lock holding the inner one.
    """

    def __init__(self, lock, *, ctx=None):
        self._outer = lock
        self._open(Lock())
        self._made()

    @property
    def _lock(self):
        return self._outer

    @property
    def _inner(self):
        return _core.Condition._lock.__get__(self)

    def __getstate__(self):
        return self._ref(), self._inner, self._outer

    def __setstate__(self, state):
        *attached, self._outer = state
        self._attach(*attached)
        self._made()

    def _check_held(self, text):
        if hasattr(self._outer, "_semlock") and not self._outer._semlock._is_mine():
            raise self._misuse(text)

    def _let_go(self):
        """Give the outer lock back, however often it is held: what takes it again."""
        if hasattr(self._outer, "_release_save"):  # threading's RLock
            state = self._outer._release_save()
            return lambda: self._outer._acquire_restore(state)
        depth = self._outer._semlock._count() if hasattr(self._outer, "_semlock") else 1
        for _ in range(depth):
            self._outer.release()
        return lambda: [self._outer.acquire() for _ in range(depth)]

    def wait(self, timeout=None):
        self._check_held("must acquire() condition before using wait()")
        self._inner.acquire()
        try:
            take_again = self._let_go()
        except BaseException:
            self._inner.release()
            raise
        try:
            try:
                return super().wait(timeout)
            finally:
                self._inner.release()
        finally:
            take_again()

    def notify(self, n=1):
        self._check_held("lock is not owned")
        with self._inner:
            super().notify(n)

    def notify_all(self):
        self._check_held("lock is not owned")
        with self._inner:
            super().notify_all()


class Barrier(Handle, _core.Barrier):
    """A place where parties wait for each other. Where one dies waiting, is late or aborts, all get BrokenBarrierError.

    action: one of the parties calls it when all are here, before any goes on. timeout: the default of wait, in seconds.
    """

    def __init__(self, parties, action=None, timeout=None, *, ctx=None):
        self.parties, self._action, self._timeout = parties, action, timeout
        self._open(parties)
        self._acted = None
        if action is not None:  # where the others wait until it has been called
            self._acted = Barrier(parties)

    def __getstate__(self):
        return self._ref(), self.parties, self._action, self._timeout, self._acted

    def __setstate__(self, state):
        ref, self.parties, self._action, self._timeout, self._acted = state
        self._attach(ref)

    def wait(self, timeout=None):
        """Wait until all parties are here: this one's number, from 0 to parties - 1."""
        if timeout is None:
            timeout = self._timeout
        number = self._wait(timeout)
        if self._acted is not None:
            try:
                if number == 0:
                    self._action()
                self._acted._wait(timeout)
            except BaseException:
                self.abort()
                raise
        return number

    def reset(self):
        """Make it whole and empty; who waits gets BrokenBarrierError."""
        self._reset()
        if self._acted is not None:
            self._acted._reset()

    def abort(self):
        """Break it: who waits, and who comes, gets BrokenBarrierError."""
        self._abort()
        if self._acted is not None:
            self._acted._abort()

    def __repr__(self):
        state = "broken" if self.broken else "waiters=%d/%d" % (self.n_waiting, self.parties)
        return "<%s at %#x: %s>" % (type(self).__qualname__, id(self), state)

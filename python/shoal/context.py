"""Contexts: the standard library's, with shoal's objects in the place of its own.

The start method that a program chose is kept by multiprocessing's default context alone, so both packages always agree
on it, in spawned children too.
"""
import multiprocessing.context as standard
import traceback
from multiprocessing.context import (AuthenticationError, BufferTooShort, ProcessError, TimeoutError, assert_spawning,
                                     get_spawning_popen, set_spawning_popen)
from multiprocessing import process, reduction, util

from . import _core, _family  # noqa: F401: _family must be there before the first child

__all__ = ()
__version__ = _core.version


class BaseContext(standard.BaseContext):
    """What every context offers: objects made by it start processes in its way."""

    ProcessError = ProcessError
    BufferTooShort = BufferTooShort
    TimeoutError = TimeoutError
    AuthenticationError = AuthenticationError

    def Manager(self):
        """A manager's process, started: it keeps objects for others."""
        from .managers import SyncManager
        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Pipe(self, duplex=True):
        """Two connections: what one sends the other receives."""
        from .connection import Pipe
        return Pipe(duplex)

    def Lock(self):
        """A lock, held by one at a time, which any process or thread may release. A dead owner's goes to the next."""
        from .synchronize import Lock
        return Lock(ctx=self.get_context())

    def RLock(self):
        """A lock that its owner, one thread, may take again, and has to release as often."""
        from .synchronize import RLock
        return RLock(ctx=self.get_context())

    def Condition(self, lock=None):
        """What to wait at until another process notifies. lock: a Lock or RLock; None: an RLock of its own."""
        from .synchronize import Condition
        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value=1, *, owned=False):
        """A count of permits, value of them at first. owned: they are given back by who dies with them.

        ValueError where value is negative.
        """
        from .synchronize import Semaphore
        return Semaphore(value, ctx=self.get_context(), owned=owned)

    def BoundedSemaphore(self, value=1):
        """A semaphore whose release raises ValueError where all value permits are there already."""
        from .synchronize import BoundedSemaphore
        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self):
        """A flag that processes wait for."""
        from .synchronize import Event
        return Event(ctx=self.get_context())

    def Barrier(self, parties, action=None, timeout=None):
        """Where parties processes wait for each other, timeout seconds each (None: without a limit). One of them calls
        action when all are there. BrokenBarrierError for all where one is late, dies or aborts.
        """
        from .synchronize import Barrier
        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize=0):
        """A queue for any objects between all processes of the family; maxsize 0: without a bound."""
        from .queues import Queue
        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize=0):
        """A queue that counts what is not dealt with: task_done and join."""
        from .queues import JoinableQueue
        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self):
        """A queue without a bound and without timeouts; its put raises what pickling raises."""
        from .queues import SimpleQueue
        return SimpleQueue(ctx=self.get_context())

    def Pool(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None):
        """Worker processes: as many as there are cores, or processes."""
        from .pool import Pool
        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def RawValue(self, typecode_or_type, *args):
        """A ctypes object in shared memory, made of args. typecode_or_type: as in array, 'i' say, or a ctypes type."""
        from .sharedctypes import RawValue
        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type, size_or_initializer):
        """An array of ctypes in shared memory: of a size, filled with zeros, or filled from a sequence."""
        from .sharedctypes import RawArray
        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type, *args, lock=True):
        """A RawValue with a lock. lock: True for an RLock of its own, the lock to use, or False for none."""
        from .sharedctypes import Value
        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type, size_or_initializer, *, lock=True):
        """A RawArray with a lock. lock: as for Value."""
        from .sharedctypes import Array
        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    def get_context(self, method=None):
        """The context of a start method; without one, this."""
        if method is None:
            return self
        try:
            context = _concrete_contexts[method]
        except KeyError:
            raise ValueError("cannot find context for %r" % method) from None
        context._check_available()
        return context


class _Interruptible:
    """Ctrl-C reaches a program's children too. One that ends by it prints nothing, so that the one traceback to read is
    the main process's; its own goes to multiprocessing's log.
    """

    def _bootstrap(self, *args, **kwargs):
        run = self.run

        def run_until_interrupted():
            try:
                run()
            except KeyboardInterrupt:
                util.info("process was interrupted\n%s", traceback.format_exc())
                raise SystemExit(1) from None

        self.run = run_until_interrupted
        return super()._bootstrap(*args, **kwargs)


class Process(_Interruptible, standard.Process):
    """A process that is started in the way that the default context has chosen."""

    @staticmethod
    def _Popen(process_obj):
        return _default_context.get_context().Process._Popen(process_obj)


class DefaultContext(BaseContext, standard.DefaultContext):
    """The context that the package's functions are methods of."""

    Process = Process

    def __init__(self):
        pass  # no state of its own

    def get_context(self, method=None):
        """The context of a start method: fork, spawn or forkserver. Without one, of the method that is chosen."""
        if method is None:
            return _concrete_contexts[standard._default_context.get_start_method()]
        return super().get_context(method)

    def set_start_method(self, method, force=False):
        """Choose how processes start. RuntimeError where that is chosen already, unless force."""
        standard._default_context.set_start_method(method, force)

    def get_start_method(self, allow_none=False):
        """The method that is chosen. Asking chooses the default one, unless allow_none: then None is the answer."""
        return standard._default_context.get_start_method(allow_none)

    def get_all_start_methods(self):
        """The names of the start methods, the default first."""
        return standard._default_context.get_all_start_methods()


class ForkProcess(_Interruptible, standard.ForkProcess):
    """A process that is a copy of its parent."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_fork import Popen
        return Popen(process_obj)


class SpawnProcess(_Interruptible, standard.SpawnProcess):
    """A process that is an interpreter of its own, and imports the main module."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_spawn_posix import Popen
        return Popen(process_obj)


class ForkServerProcess(_Interruptible, standard.ForkServerProcess):
    """A process that is forked by a server, which has no threads and nothing of the program."""

    @staticmethod
    def _Popen(process_obj):
        from .popen_forkserver import Popen
        return Popen(process_obj)


class ForkContext(BaseContext, standard.ForkContext):
    """Starts processes as copies of their parent."""

    Process = ForkProcess


class SpawnContext(BaseContext, standard.SpawnContext):
    """Starts processes as interpreters of their own."""

    Process = SpawnProcess


class ForkServerContext(BaseContext, standard.ForkServerContext):
    """Starts processes by a server that forks them."""

    Process = ForkServerProcess


_concrete_contexts = {"fork": ForkContext(), "spawn": SpawnContext(), "forkserver": ForkServerContext()}
_default_context = DefaultContext()
_force_start_method = standard._force_start_method
_tls = standard._tls

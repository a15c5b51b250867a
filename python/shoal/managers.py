"""Managers: the standard library's, but queues, locks and their kind are shoal's own, on the family's shared memory.

What Manager().Queue() and Manager().Lock() give is no proxy: no call of theirs goes through the manager's process, and
they are there for as long as a process has them, whatever becomes of the manager. dict, list, Namespace, Value, Array
and Pool live in the manager's process, behind the standard library's proxies. All of them can be put into each other.
"""
import multiprocessing.managers as standard
import secrets
from multiprocessing.managers import (AcquirerProxy, Array, ArrayProxy, AutoProxy, BarrierProxy,  # noqa: F401
                                      BaseListProxy, BasePoolProxy, BaseProxy, ConditionProxy, DictProxy, EventProxy,
                                      IteratorProxy, ListProxy, MakeProxyType, Namespace, NamespaceProxy, PoolProxy,
                                      ProcessLocalSet, RebuildProxy, RemoteError, Server, SharedMemoryServer, State,
                                      Token, Value, ValueProxy, all_methods, convert_to_error, dispatch,
                                      listener_client, public_methods)

from . import _core, queues, synchronize

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token", "SharedMemoryManager"]


class BaseManager(standard.BaseManager):
    """A manager whose process is of the family."""

    def __init__(self, address=None, authkey=None, serializer="pickle", ctx=None, **options):
        if ctx is None:
            from .context import _default_context
            ctx = _default_context.get_context()
        super().__init__(address, authkey, serializer, ctx, **options)

    def start(self, initializer=None, initargs=()):
        """Start the manager's process. Without an address its socket has a name that is in no folder: nothing stays
        behind however the process ends; who connects to it must know the authkey.
        """
        if self._address is None:
            self._address = "\0shoal-manager-" + secrets.token_hex(16)
        super().start(initializer, initargs)


class _Managed:
    """Shows itself as a manager's proxy does, and str() as what it stands for."""

    _proxy = _typeid = None

    def __repr__(self):
        return "<%s object, typeid %r at %#x>" % (self._proxy, self._typeid, id(self))

    def __str__(self):
        return super().__repr__()


class _Queue(_Managed, queues.JoinableQueue):
    """A queue as managers have it: it can always be joined, and put raises what pickling raises."""

    _proxy, _typeid = "AutoProxy[Queue]", "Queue"

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        raise e


class _JoinableQueue(_Queue):
    _proxy, _typeid = "AutoProxy[JoinableQueue]", "JoinableQueue"


class _Lock(_Managed, synchronize.Lock):
    _proxy, _typeid = "AcquirerProxy", "Lock"
    _misuse = RuntimeError  # as threading's


class _RLock(_Managed, synchronize.RLock):
    _proxy, _typeid = "AcquirerProxy", "RLock"
    _misuse = RuntimeError


class _Semaphore(_Managed, synchronize.Semaphore):
    _proxy, _typeid = "AcquirerProxy", "Semaphore"


class _BoundedSemaphore(_Managed, synchronize.BoundedSemaphore):
    _proxy, _typeid = "AcquirerProxy", "BoundedSemaphore"


class _Condition(_Managed, synchronize.Condition):
    _proxy, _typeid = "ConditionProxy", "Condition"
    _misuse = RuntimeError


class _Event(_Managed, synchronize.Event):
    _proxy, _typeid = "EventProxy", "Event"


class _Barrier(_Managed, synchronize.Barrier):
    _proxy, _typeid = "BarrierProxy", "Barrier"


class SyncManager(BaseManager, standard.SyncManager):
    """A manager of shared objects.

    Where it is connected to a manager's process of another family (connect, to an address), nothing is shared but that
    process: then all its objects live there, behind proxies.
    """

    _registry = standard.SyncManager._registry.copy()
    _is_remote = False

    def connect(self):
        """Use the manager's process at the address. ConnectionError where there is none."""
        super().connect()
        try:
            self._is_remote = self._family()._getvalue() != _core.family_id()
        except RemoteError:  # a server of the standard library's
            self._is_remote = True

    def Queue(self, maxsize=0):
        """A queue for any objects, which can be joined; maxsize 0: without a bound."""
        return self._share(_Queue, maxsize)

    def JoinableQueue(self, maxsize=0):
        """The same as Queue."""
        return self._share(_JoinableQueue, maxsize)

    def Lock(self):
        """A lock, as shoal.Lock; RuntimeError where it is released and not held."""
        return self._share(_Lock)

    def RLock(self):
        """A lock that its owner may take again, as shoal.RLock."""
        return self._share(_RLock)

    def Semaphore(self, value=1):
        """A count of permits, as shoal.Semaphore."""
        return self._share(_Semaphore, value)

    def BoundedSemaphore(self, value=1):
        """A semaphore with a bound, as shoal.BoundedSemaphore."""
        return self._share(_BoundedSemaphore, value)

    def Condition(self, lock=None):
        """A condition, as shoal.Condition. lock: a lock of this manager; None: one of its own."""
        return self._share(_Condition, lock)

    def Event(self):
        """A flag to wait for, as shoal.Event."""
        return self._share(_Event)

    def Barrier(self, parties, action=None, timeout=None):
        """A barrier; one of the parties calls the action, not the manager's process."""
        return self._share(_Barrier, parties, action, timeout)

    def _share(self, kind, *args):
        if self._is_remote:
            return getattr(super(), kind._typeid)(*args)
        assert self._state.value == State.STARTED, "server not yet started"
        return kind(*args)


def _make_pool(*args, **options):
    from .pool import Pool
    return Pool(*args, **options)


SyncManager.register("Pool", _make_pool, PoolProxy)
SyncManager.Pool.__doc__ = "A pool of the manager's process, behind a proxy; arguments as those of shoal.pool.Pool."
SyncManager.register("_family", _core.family_enter, BaseProxy)


class SharedMemoryManager(BaseManager, standard.SharedMemoryManager):
    """A manager of the standard library's named shared memory, which it unlinks when it ends."""

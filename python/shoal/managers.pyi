import multiprocessing.managers as standard
from collections.abc import Callable
from multiprocessing.managers import (
    BaseListProxy as BaseListProxy,
    BaseProxy as BaseProxy,
    DictProxy as DictProxy,
    ListProxy as ListProxy,
    Namespace as Namespace,
    RemoteError as RemoteError,
    Server as Server,
    Token as Token,
    ValueProxy as ValueProxy,
)
from typing import Any

from . import queues, synchronize
from .context import BaseContext

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token", "SharedMemoryManager"]

class BaseManager(standard.BaseManager):
    def __init__(self, address: Any = None, authkey: bytes | None = None, serializer: str = "pickle",
                 ctx: BaseContext | None = None, **options: Any) -> None: ...

class SyncManager(BaseManager, standard.SyncManager):
    def Queue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]: ...  # type: ignore[override]
    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]: ...  # type: ignore[override]
    def Lock(self) -> synchronize.Lock: ...  # type: ignore[override]
    def RLock(self) -> synchronize.RLock: ...  # type: ignore[override]
    def Semaphore(self, value: int = 1) -> synchronize.Semaphore: ...  # type: ignore[override]
    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore: ...  # type: ignore[override]
    def Condition(  # type: ignore[override]
        self, lock: synchronize._LockLike | None = None
    ) -> synchronize.Condition: ...
    def Event(self) -> synchronize.Event: ...  # type: ignore[override]
    def Barrier(  # type: ignore[override]
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> synchronize.Barrier: ...

class SharedMemoryManager(BaseManager, standard.SharedMemoryManager): ...

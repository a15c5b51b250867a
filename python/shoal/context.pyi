import multiprocessing.context as standard
from collections.abc import Callable, Iterable, Sequence
from ctypes import _SimpleCData
from multiprocessing.context import (
    AuthenticationError as AuthenticationError,
    BufferTooShort as BufferTooShort,
    ProcessError as ProcessError,
    TimeoutError as TimeoutError,
    assert_spawning as assert_spawning,
    get_spawning_popen as get_spawning_popen,
    set_spawning_popen as set_spawning_popen,
)
from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
from typing import Any, Literal, TypeVar, overload

from . import connection, queues, synchronize
from .managers import SyncManager
from .pool import Pool as _Pool

__all__ = ()

_T = TypeVar("_T")

# The stubs of the standard library say of each method which of its own classes it returns. Ours are others, with the
# same methods; a context is one of the standard library's all the same.
class BaseContext(standard.BaseContext):
    def Manager(self) -> SyncManager: ...
    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]: ...
    def Lock(self) -> synchronize.Lock: ...  # type: ignore[override]
    def RLock(self) -> synchronize.RLock: ...  # type: ignore[override]
    def Condition(  # type: ignore[override]
        self, lock: synchronize._LockLike | None = None
    ) -> synchronize.Condition: ...
    def Semaphore(  # type: ignore[override]
        self, value: int = 1, *, owned: bool = False
    ) -> synchronize.Semaphore: ...
    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore: ...  # type: ignore[override]
    def Event(self) -> synchronize.Event: ...  # type: ignore[override]
    def Barrier(  # type: ignore[override]
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> synchronize.Barrier: ...
    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]: ...  # type: ignore[override]
    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]: ...  # type: ignore[override]
    def SimpleQueue(self) -> queues.SimpleQueue[Any]: ...  # type: ignore[override]
    def Pool(  # type: ignore[override]
        self, processes: int | None = None, initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (), maxtasksperchild: int | None = None
    ) -> _Pool: ...
    @overload  # type: ignore[override]
    def Value(self, typecode_or_type: type[_SimpleCData[_T]], *args: Any,
              lock: Literal[True] | synchronize.Lock | synchronize.RLock | None = True) -> Synchronized[_T]: ...
    @overload
    def Value(self, typecode_or_type: str, *args: Any,
              lock: Literal[True] | synchronize.Lock | synchronize.RLock | None = True) -> Synchronized[Any]: ...
    @overload
    def Value(self, typecode_or_type: Any, *args: Any,
              lock: bool | synchronize.Lock | synchronize.RLock | None = True) -> Any: ...
    @overload  # type: ignore[override]
    def Array(self, typecode_or_type: type[_SimpleCData[_T]], size_or_initializer: int | Sequence[Any], *,
              lock: Literal[True] | synchronize.Lock | synchronize.RLock | None = True) -> SynchronizedArray[_T]: ...
    @overload
    def Array(self, typecode_or_type: str, size_or_initializer: int | Sequence[Any], *,
              lock: Literal[True] | synchronize.Lock | synchronize.RLock | None = True) -> SynchronizedArray[Any]: ...
    @overload
    def Array(self, typecode_or_type: Any, size_or_initializer: int | Sequence[Any], *,
              lock: bool | synchronize.Lock | synchronize.RLock | None = True) -> Any: ...
    @overload  # type: ignore[override]
    def get_context(self, method: None = None) -> BaseContext: ...
    @overload
    def get_context(self, method: Literal["fork"]) -> ForkContext: ...
    @overload
    def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
    @overload
    def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
    @overload
    def get_context(self, method: str) -> ForkContext | SpawnContext | ForkServerContext: ...

class Process(standard.Process): ...
class ForkProcess(standard.ForkProcess): ...
class SpawnProcess(standard.SpawnProcess): ...
class ForkServerProcess(standard.ForkServerProcess): ...

class DefaultContext(BaseContext, standard.DefaultContext):
    Process = Process
    def __init__(self) -> None: ...

class ForkContext(BaseContext, standard.ForkContext):
    Process = ForkProcess

class SpawnContext(BaseContext, standard.SpawnContext):
    Process = SpawnProcess

class ForkServerContext(BaseContext, standard.ForkServerContext):
    Process = ForkServerProcess

_default_context: DefaultContext

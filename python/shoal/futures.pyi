from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from typing_extensions import ParamSpec

from . import pool

__all__ = ["ProcessPoolExecutor", "WorkerLostError", "UnreadableError"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

class WorkerLostError(pool.WorkerLostError, BrokenProcessPool): ...
class UnreadableError(BrokenProcessPool): ...

class ProcessPoolExecutor(Executor):
    def __init__(self, max_workers: int | None = None, mp_context: BaseContext | None = None,
                 initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = (), *,
                 max_tasks_per_child: int | None = None) -> None: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]: ...
    def map(self, fn: Callable[..., _T], *iterables: Iterable[Any], timeout: float | None = None,
            chunksize: int = 1, buffersize: int | None = None) -> Iterator[_T]: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...

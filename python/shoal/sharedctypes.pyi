from multiprocessing.sharedctypes import (
    RawArray as RawArray,
    RawValue as RawValue,
    Synchronized as Synchronized,
    SynchronizedArray as SynchronizedArray,
    SynchronizedBase as SynchronizedBase,
    SynchronizedString as SynchronizedString,
    copy as copy,
)
from collections.abc import Sequence
from ctypes import _SimpleCData
from typing import Any, Literal, TypeVar, overload

from .context import BaseContext
from .synchronize import _LockLike

__all__ = ["RawValue", "RawArray", "Value", "Array", "copy", "synchronized"]

_T = TypeVar("_T")

@overload
def Value(typecode_or_type: type[_SimpleCData[_T]], *args: Any, lock: Literal[True] | _LockLike | None = True,
          ctx: BaseContext | None = None) -> Synchronized[_T]: ...
@overload
def Value(typecode_or_type: str, *args: Any, lock: Literal[True] | _LockLike | None = True,
          ctx: BaseContext | None = None) -> Synchronized[Any]: ...
@overload
def Value(typecode_or_type: Any, *args: Any, lock: bool | _LockLike | None = True,
          ctx: BaseContext | None = None) -> Any: ...
@overload
def Array(typecode_or_type: type[_SimpleCData[_T]], size_or_initializer: int | Sequence[Any], *,
          lock: Literal[True] | _LockLike | None = True,
          ctx: BaseContext | None = None) -> SynchronizedArray[_T]: ...
@overload
def Array(typecode_or_type: str, size_or_initializer: int | Sequence[Any], *,
          lock: Literal[True] | _LockLike | None = True,
          ctx: BaseContext | None = None) -> SynchronizedArray[Any]: ...
@overload
def Array(typecode_or_type: Any, size_or_initializer: int | Sequence[Any], *,
          lock: bool | _LockLike | None = True, ctx: BaseContext | None = None) -> Any: ...
def synchronized(obj: Any, lock: Any = None, ctx: BaseContext | None = None) -> Any: ...

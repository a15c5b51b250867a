from multiprocessing import connection as standard
from multiprocessing.connection import Client as Client, Listener as Listener, wait as wait
from typing import Any

from . import _core

__all__ = ["Client", "Listener", "Pipe", "wait"]

class Connection(_core.Connection, standard.Connection[Any, Any]):
    def __init__(self, handle: int, readable: bool = True, writable: bool = True) -> None: ...

def Pipe(duplex: bool = True) -> tuple[Connection, Connection]: ...

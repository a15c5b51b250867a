"""Connections: the two ends of a pipe. Large messages between them go through the family's shared memory.

Listener, Client and wait are the standard library's: what they make and take are sockets between any processes.
"""
import multiprocessing.connection as standard
import os
import socket
from multiprocessing import reduction, resource_sharer
from multiprocessing.connection import *  # noqa: F401,F403
from multiprocessing.connection import (AuthenticationError, BufferTooShort, ConnectionWrapper,  # noqa: F401
                                        SocketListener, XmlListener, address_type, answer_challenge, arbitrary_address,
                                        deliver_challenge)
from multiprocessing.context import get_spawning_popen

from . import _core

__all__ = ["Client", "Listener", "Pipe", "wait"]


def __getattr__(name):
    return getattr(standard, name)


class Connection(_core.Connection, standard.Connection):
    """One end of a connection, on a descriptor. handle: the descriptor, which belongs to the object."""

    def __reduce__(self):
        return _rebuild, (type(self), self._sides(), _duplicate(self), self.readable, self.writable)

    def _send_bytes(self, buf):
        self.send_bytes(buf)

    def _close(self):
        self.close()

    def _poll(self, timeout):
        return self.poll(timeout)


def _rebuild(cls, sides, handle, readable, writable):
    connection = cls.__new__(cls)
    connection._attach_sides(*sides)  # before the descriptor: until that is fetched, its sender keeps them
    _core.Connection.__init__(connection, handle.detach(), readable, writable)
    return connection


def _duplicate(connection):
    """What a process that unpickles it can get the descriptor from."""
    if get_spawning_popen() is not None:
        return reduction.DupFd(connection.fileno())
    return _Kept(connection)


class _Kept:
    """A duplicate of a connection, kept until another process fetches its descriptor."""

    def __init__(self, connection):
        spare = Connection(os.dup(connection.fileno()), connection.readable, connection.writable)
        spare._attach_sides(*connection._sides())

        def send(channel, pid):
            reduction.send_handle(channel, spare.fileno(), pid)

        self._id = resource_sharer._resource_sharer.register(send, spare.close)

    def detach(self):
        with resource_sharer._resource_sharer.get_connection(self._id) as channel:
            return reduction.recv_handle(channel)


def Pipe(duplex=True):
    """Two connections: what one sends the other receives. duplex False: the first receives, the second sends."""
    if duplex:
        first, second = socket.socketpair()
        first.setblocking(True)
        second.setblocking(True)
        first, second = Connection(first.detach()), Connection(second.detach())
        first._make_side(second)
    else:
        reading, writing = os.pipe()
        first, second = Connection(reading, writable=False), Connection(writing, readable=False)
    second._make_side(first)
    return first, second

"""Queues on the family's shared memory: what put has returned from can be got, by any process of the family."""
import weakref
from queue import Empty, Full  # noqa: F401: as in multiprocessing.queues

from . import _core
from ._handle import Handle

__all__ = ["Queue", "SimpleQueue", "JoinableQueue"]

_NO_BOUND = 2 ** 31 - 1  # what _maxsize is without a maximum, as in multiprocessing


class _Reader:
    """A queue's receiving side, as it looks to what polls it: has a descriptor, and receives."""

    def __init__(self, queue):
        self._queue = weakref.ref(queue)
        self.closed = False
        self.draining = False

    def _open_queue(self):
        queue = self._queue()
        if queue is None or self.closed:
            raise OSError("handle is closed")
        return queue

    readable, writable = True, False

    def fileno(self):
        """A descriptor for select and poll: readable while there is something to get. Never read from it."""
        return self._open_queue()._fileno()

    def poll(self, timeout=0.0):
        """Whether there is something to get, waiting timeout seconds at most (None: without a limit)."""
        return self._open_queue()._poll(timeout)

    def recv(self):
        queue = self._open_queue()
        if self.draining and queue.qsize() == 0:
            return None
        return queue._receive()

    def close(self):
        self.closed = True

    def __repr__(self):
        return "<%s of %r%s>" % (type(self).__name__, self._queue(), ", closed" if self.closed else "")


class _ReadLock:
    """Who would hold it to empty a queue that others read: nobody waits for it, and recv does not wait meanwhile."""

    def __init__(self, reader):
        self._reader = reader

    def acquire(self, block=True, timeout=None):
        self._reader.draining = True
        return True

    def release(self):
        self._reader.draining = False

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exception):
        self.release()


class _Writer:
    """A queue's sending side."""

    def __init__(self, queue):
        self._queue = weakref.ref(queue)
        self.closed = False

    readable, writable = False, True

    def send(self, obj):
        queue = self._queue()
        if queue is None or self.closed:
            raise OSError("handle is closed")
        queue._send(obj)

    def close(self):
        self.closed = True


class _Handle(Handle, _core.Queue):
    """What all queues have in common."""

    _reader = _writer = None
    _maxsize = _NO_BOUND

    def _made(self):
        self._reader = _Reader(self)
        self._writer = _Writer(self)

    def __getstate__(self):
        return self._ref(), self._maxsize

    def __setstate__(self, state):
        ref, self._maxsize = state
        self._attach(ref, 0 if self._maxsize == _NO_BOUND else self._maxsize)
        self._made()


class Queue(_Handle):
    """A queue for any objects between all processes of the family.

    maxsize: the most objects in it; 0 or less: no bound.
    """

    _joinable = False
    _ignore_epipe = False

    def __init__(self, maxsize=0, *, ctx=None):
        self._open(max(maxsize, 0), self._joinable)
        self._maxsize = maxsize if maxsize > 0 else _NO_BOUND
        self._made()

    def close(self):
        """This process puts and gets no more. Others go on."""
        self._close()
        self._reader.close()

    def join_thread(self):
        """Return at once: what has been put is in the queue already."""
        if not self._closed:
            raise AssertionError("Queue %r not closed" % self)

    def cancel_join_thread(self):
        """Nothing to cancel: there is no thread to wait for."""

    def empty(self):
        """Whether nothing is in it now. OSError after close, where something is."""
        is_empty = _core.Queue.empty(self)
        if self._closed and not is_empty:
            raise OSError("Queue %r is closed" % self)
        return is_empty

    def _terminate_broken(self):
        self.close()

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        """What put does with an object that cannot be pickled."""
        import traceback
        traceback.print_exception(type(e), e, e.__traceback__)


class JoinableQueue(Queue):
    """A queue that counts what has been put and not yet been dealt with."""

    _joinable = True

    def task_done(self):
        """An object that was got is dealt with. ValueError where all of them are."""
        self._task_done()

    def join(self):
        """Wait until all that was put has been got and is done. What a dead process had got counts as done."""
        self._join()


class SimpleQueue(_Handle):
    """A queue without a bound and without timeouts; put raises what pickling raises."""

    def __init__(self, *, ctx=None):
        self._open(0, False)
        self._made()

    @property
    def _rlock(self):
        return _ReadLock(self._reader)

    put, get = _core.Queue._send, _core.Queue._receive

    def close(self):
        """This process puts and gets no more. Others go on."""
        self._close()
        self._reader.close()
        self._writer.close()

    def empty(self):
        """Whether nothing is in it now. OSError after close."""
        if self._reader.closed:
            raise OSError("handle is closed")
        return _core.Queue.empty(self)

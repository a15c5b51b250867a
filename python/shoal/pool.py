"""Pools of worker processes: a worker that dies costs the item that it was running, and nothing else."""
import errno
import multiprocessing.pool as standard
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
import weakref
from concurrent.futures import CancelledError
from multiprocessing import process, util
from multiprocessing.pool import (CLOSE, INIT, RUN, TERMINATE, ExceptionWithTraceback, MaybeEncodingError,  # noqa: F401
                                  RemoteTraceback, ThreadPool)
from multiprocessing.reduction import ForkingPickler

from . import _core, _interrupt, _popen
from .context import ProcessError, _default_context

__all__ = ["Pool", "ThreadPool", "AsyncResult", "MapResult", "IMapIterator", "IMapUnorderedIterator",
           "WorkerLostError", "BrokenPoolError"]

AsyncResult = ApplyResult = MapResult = _core.AsyncResult
job_counter = standard.job_counter


class WorkerLostError(ProcessError, RuntimeError):
    """The worker that ran a task died, and the task with it; the pool goes on.

    A ProcessError, as what else goes wrong with processes; and a RuntimeError, as BrokenProcessPool is, which programs
    catch that were written for an executor.

    task: the task's number in its pool, from 1. item: which item of a map, from 0. pid: the worker's. signal: what
    killed it, None where it exited. exitcode: as Process.exitcode, negative for a signal; None where it is not known.
    """

    def __init__(self, message, task=None, item=None, pid=None, signal=None, exitcode=None):
        super().__init__(message)
        self.task, self.item, self.pid, self.signal, self.exitcode = task, item, pid, signal, exitcode

    def __reduce__(self):
        return type(self), (*self.args, self.task, self.item, self.pid, self.signal, self.exitcode)


class BrokenPoolError(WorkerLostError):
    """The pool was given up, because worker after worker could not start: mostly by what the initializer raises."""


class IMapIterator(_core.Iterator):
    """Results in the order of the items."""


class IMapUnorderedIterator(_core.Iterator):
    """Results as they come."""


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass


class _Workplace:
    """Where a worker belongs: goes to it as an argument, by fork as it is, else by the pool's name."""

    def __init__(self, pool, index, generation, mask):
        self.pool, self.index, self.generation, self.mask = pool, index, generation, mask

    def __getstate__(self):
        return self.pool._ref(), self.index, self.generation, self.mask

    def __setstate__(self, state):
        ref, self.index, self.generation, self.mask = state
        self.pool = self.attached()
        self.pool._attach(ref)

    @staticmethod
    def attached():
        """The pool as a worker has it that was started afresh."""
        return _Attached()

    def begin(self):
        self.pool._close_inherited()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _ignore)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def refuse(self, error):
        """The worker cannot begin; the pool's first says why at length."""
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        if self.pool._refuse(self.index, "the initializer raised " + reason):
            self.report(error)

    @staticmethod
    def report(error):
        """Say why no worker can begin."""
        util._flush_std_streams()
        traceback.print_exception(type(error), error, error.__traceback__)

    def serve(self):
        self.pool._serve(self.index, self.generation, _flush, self.pool._passes_all)


def _ignore(number, frame):
    """Ctrl-C reaches all processes: it is for the main one to end the others."""


def _work(workplace, initializer, initargs):
    """A worker's process."""
    workplace.begin()
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException as error:
            workplace.refuse(error)
            sys.exit(1)
    workplace.serve()


class _Telling(_core.Pool):
    """How workers tell of exceptions, and how main understands it."""

    _passes_all = False  # whether SystemExit in a task is its result, and not the worker's end

    @staticmethod
    def _describe(error, *value):
        """What stands for an exception: its traceback, and itself, or what can be said of it."""
        text = ""
        if value:
            error = MaybeEncodingError(error, value[0])
        else:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            text = '\n"""\n%s"""' % "".join(lines)
        try:
            data = bytes(ForkingPickler.dumps(error))
        except Exception as refusal:
            data = bytes(ForkingPickler.dumps(MaybeEncodingError(refusal, error)))
        return pickle.dumps((text, data))

    @staticmethod
    def _rebuild(described):
        text, data = pickle.loads(described)
        try:
            error = pickle.loads(data)
        except Exception as refusal:
            error = MaybeEncodingError(refusal, "an exception that cannot be unpickled")
        if text:
            error.__cause__ = RemoteTraceback(text)
        return error

    def _failure(self, code, signal_number, exitcode, pid, task, item, message):
        """The exception for an item without a result."""
        if code == -errno.ECHILD:
            self._collect()
            known = signal_number or exitcode >= 0
            return WorkerLostError("task %d, item %d: %s" % (task, item, message), task, item, pid,
                                   signal_number or None, (-signal_number or exitcode) if known else None)
        if code == -errno.ENOEXEC:
            return BrokenPoolError(message, task, item)
        if code == -errno.ECANCELED:
            return CancelledError("task %d, item %d: %s" % (task, item, message))
        if code == -errno.ENOMEM:
            return MemoryError(message)
        return RuntimeError(message)


class _Attached(_Telling):
    """A pool as its workers have it."""


class _Replacement:
    """A worker that is not the main process's child, since the keeper started it, as far as a Process can show it."""

    daemon = True

    def __init__(self, pid):
        self.pid = self.ident = pid or None
        self.name = "PoolWorker"

    exitcode = None

    def is_alive(self):
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _send(self, number):
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def terminate(self):
        self._send(signal.SIGTERM)

    def kill(self):
        self._send(signal.SIGKILL)

    def __repr__(self):
        return "<%s pid=%s>" % (self.name, self.pid)


class _Waiting:
    """The tasks that no worker has begun, for those who ask how many there are."""

    def __init__(self, pool):
        self._owner = pool

    def qsize(self):
        return self._owner._stats()["pending"]


class Pool(_Telling):
    """Worker processes that call functions: as many as there are cores, or processes.

    initializer(*initargs) is called in each worker when it starts. A worker is replaced after maxtasksperchild tasks
    (chunks of a map), and whenever it dies.
    """

    _state = INIT
    _Workplace = _Workplace
    _has_daemons = True  # whether its workers may have no children

    @staticmethod
    def Process(ctx, *args, **kwds):
        """What makes a worker: for subclasses whose workers are processes of another class."""
        return ctx.Process(*args, **kwds)

    def __init__(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None, context=None):
        self._ctx = context or _default_context.get_context()
        if processes is None:
            processes = _core.cpu_count()
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes
        self._initializer, self._initargs = initializer, initargs
        self._maxtasksperchild = maxtasksperchild
        self._workers = [None] * processes
        self._handler = None
        self._feeders = []
        # No worker is to be interrupted before it ignores that. A fork server that is started here is for others
        # too, and must not inherit that the signal is blocked.
        with _interrupt.Held(blocks=self._ctx.get_start_method() != "forkserver") as held:
            self._mask = held.mask
            self._open(processes, maxtasksperchild or 0)
            self._state = RUN
            self._finalizer = util.Finalize(self, _terminate_at_exit, args=(weakref.ref(self),), exitpriority=15)

    # --- processes: called by the core, in main while the pool is opened, then in the keeper

    def _launch(self, index, generation, place, ticket):
        """Start the worker of a place; its pid."""
        worker = self.Process(self._ctx, target=_work, args=(self._Workplace(self, index, generation, self._mask),
                                                             self._initializer, self._initargs))
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = self._has_daemons
        worker._place = place, ticket
        worker.start()
        self._workers[index] = worker
        return worker.pid

    def _reaped(self, index, code):
        """A worker has ended with this code, None where the system cannot tell; returns what is known."""
        worker, self._workers[index] = self._workers[index], None
        if worker is None:
            return code
        if worker._parent_pid == os.getpid():
            if code is None:
                worker.join(1)
                code = worker.exitcode
            process._children.discard(worker)
        return code

    def _before_keeper(self):
        util._flush_std_streams()

    def _become_keeper(self):
        process._children = set()
        _interrupt.forget()
        _popen.adopt_forkserver()

    def _collect(self):
        """Take note of the ends of those workers that are this process's children."""
        for worker in self._workers:
            if isinstance(worker, process.BaseProcess):
                worker.is_alive()

    @property
    def _pool(self):
        """The workers: processes of this one, and what stands for those that the keeper has started."""
        workers = []
        for index, pid in enumerate(self._pids()):
            worker = self._workers[index]
            if worker is None or worker.pid != pid:
                worker = self._workers[index] = _Replacement(pid)
            workers.append(worker)
        return workers

    @property
    def _cache(self):
        """As long as there are tasks that have not ended."""
        stats = self._stats()
        return dict.fromkeys(range(stats["submitted"] - stats["completed"]))

    @property
    def _taskqueue(self):
        return _Waiting(self)

    def _repopulate_pool(self):
        """Nothing: dead workers are replaced when they die."""

    # --- tasks

    def _check_running(self):
        if self._state != RUN:
            raise ValueError("Pool not running")

    def imap(self, func, iterable, chunksize=1, *, buffersize=None):
        """The results of func(item) for each item, one by one, in order: an iterator.

        A worker takes chunksize items at a time. Items are taken from the iterable by a thread, about as fast as
        workers take them; with buffersize only when a result is asked for, so that at most that many are on their way.
        """
        return self._iterate(IMapIterator, func, iterable, chunksize, buffersize, False)

    def imap_unordered(self, func, iterable, chunksize=1, *, buffersize=None):
        """As imap, but results as they come."""
        return self._iterate(IMapUnorderedIterator, func, iterable, chunksize, buffersize, True)

    def _iterate(self, cls, func, iterable, chunksize, buffersize, unordered):
        self._check_running()
        if chunksize < 1:
            raise ValueError("Chunksize must be 1+, not {0:n}".format(chunksize))
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be 1 or more, or None")
        iterator = cls(self, func, iterable, chunksize, buffersize or 0, unordered)
        if not iterator._is_fed:
            self._feeders = [feeder for feeder in self._feeders if feeder.is_alive()]
            feeder = threading.Thread(target=iterator._feed, name="PoolFeeder", daemon=True)
            self._feeders.append(feeder)
            feeder.start()
        return iterator

    def _start_handler(self):
        """A first callback is to come: have a thread that calls it, and those after it."""
        handler = threading.Thread(target=self._handle_results, name="PoolResultHandler", daemon=True)
        handler.start()
        self._handler = handler

    def _handle_results(self):
        while True:
            result = self._await_ended()
            if result is None:
                return
            result._call_back()
            del result

    # --- the end

    def close(self):
        """No more tasks: the workers end when all are done."""
        if self._state == RUN:
            self._state = CLOSE
            self._close_when_fed()

    def _close_when_fed(self):
        """What imap has accepted is still submitted."""
        feeders = [feeder for feeder in self._feeders if feeder.is_alive()]
        if not feeders:
            self._close()
            return

        def close():
            for feeder in feeders:
                feeder.join()
            self._close()

        self._feeders.append(threading.Thread(target=close, name="PoolCloser", daemon=True))
        self._feeders[-1].start()

    def terminate(self):
        """End the workers at once, whatever they do."""
        self._state = TERMINATE
        self._terminate()

    def join(self):
        """Wait until the workers have ended: after close, or terminate."""
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        for feeder in self._feeders:
            feeder.join()
        self._join()
        for worker in self._workers:
            if isinstance(worker, process.BaseProcess):
                worker.join()
        handler = self._handler
        if handler is not None and handler is not threading.current_thread():
            handler.join()

    def __enter__(self):
        self._check_running()
        return self

    def __exit__(self, *exception):
        self.terminate()

    def __del__(self):
        if self._state == RUN:
            warnings.warn("unclosed running multiprocessing pool %r" % self, ResourceWarning, source=self)
        self._free()

    def __repr__(self):
        cls = type(self)
        return "<%s.%s state=%s pool_size=%s>" % (cls.__module__, cls.__qualname__, self._state,
                                                  getattr(self, "_processes", 0))

    def __reduce__(self):
        raise NotImplementedError("a pool stays in the process that opened it: it cannot be pickled or passed to "
                                  "another")


def _terminate_at_exit(reference):
    """The interpreter ends with a pool that is open."""
    pool = reference()
    if pool is not None and pool._state in (RUN, CLOSE):
        pool._state = TERMINATE
        pool._terminate()
        pool._join()

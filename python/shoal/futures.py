"""An executor on shoal's pool: the standard library's interface, futures that are its own, and workers that may die.

A worker's death costs the future that it was running: WorkerLostError, which is a BrokenProcessPool, so that programs
written for the standard executor see what they know. The executor goes on, with another worker.
"""
import collections
import os
import sys
import threading
import time
import traceback
import weakref
from concurrent.futures import CancelledError, Executor, Future, TimeoutError
from concurrent.futures._base import LOGGER, PENDING
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from multiprocessing.reduction import ForkingPickler

from . import _core, pool
from .context import BaseContext, _default_context

__all__ = ["ProcessPoolExecutor", "WorkerLostError", "UnreadableError"]


class WorkerLostError(pool.WorkerLostError, BrokenProcessPool):
    """The worker that ran a task died, and the task with it; the executor goes on."""


class UnreadableError(BrokenProcessPool):
    """A task, or its result, could not be unpickled on the other side; the executor goes on."""


class _Cancelled(CancelledError):
    """What a task comes to that was cancelled: no task raises it."""


class _Telling(pool._Telling):
    """What executors' workers tell of exceptions otherwise than a pool's."""

    _passes_all = True

    @staticmethod
    def _describe(error, *value):
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            data = bytes(ForkingPickler.dumps(error))
        except Exception as refusal:
            data = bytes(ForkingPickler.dumps(UnreadableError("%r cannot be pickled: %r" % (error, refusal))))
        return bytes(ForkingPickler.dumps((text, data)))

    @staticmethod
    def _rebuild(described):
        text, data = ForkingPickler.loads(described)
        try:
            error = ForkingPickler.loads(data)
        except BaseException as refusal:
            error = UnreadableError("an exception that cannot be unpickled: %r" % refusal)
        error.__cause__ = _RemoteTraceback('\n"""\n%s"""' % text)
        return error

    def _failure(self, *reason):
        error = super()._failure(*reason)
        if isinstance(error, pool.BrokenPoolError):
            return BrokenProcessPool(*error.args)
        if isinstance(error, pool.WorkerLostError):
            return WorkerLostError(*error.__reduce__()[1])
        return _Cancelled(*error.args) if isinstance(error, CancelledError) else error

    @staticmethod
    def _unread(error):
        if isinstance(error, MemoryError):
            return error
        unreadable = UnreadableError("cannot be unpickled: %r" % error)
        unreadable.__cause__ = error
        return unreadable


class _Attached(_Telling):
    """An executor's pool as its workers have it."""


class _Workplace(pool._Workplace):
    @staticmethod
    def attached():
        return _Attached()

    @staticmethod
    def report(error):
        LOGGER.critical("Exception in initializer:", exc_info=error)


class _Pool(_Telling, pool.Pool):
    _Workplace = _Workplace
    _has_daemons = False

    def __init__(self, *args):
        self._owner = os.getpid()
        super().__init__(*args)

    def __del__(self):
        pass  # an executor sees to its end


_PARTS = frozenset(vars(Future()))
_making = threading.Lock()


class _Future(Future):
    """A future that waits for its task in shared memory. What it has in common with others - a condition, callbacks,
    those who wait for several - it gets when it is first asked for: from then on a thread sets it when the task ends.
    """

    def __init__(self, outcome):
        self._outcome = outcome

    def __getattr__(self, name):
        if name not in _PARTS:
            raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name))
        with _making:
            is_new = "_state" not in self.__dict__
            if is_new:
                self.__dict__.update(vars(Future()))
        if is_new and not self._outcome._watch(self._settle):
            self._settle()
        return self.__dict__[name]

    def _is_plain(self):
        return "_state" in self.__dict__

    def _settle(self, value=None):
        """The task has ended."""
        outcome = self._outcome
        if self._is_cancelled():
            self._note_cancel()
        elif self.set_running_or_notify_cancel():
            if outcome.successful():
                self.set_result(outcome._value)
            else:
                self.set_exception(outcome._value)

    def _is_cancelled(self):
        outcome = self._outcome
        return outcome.ready() and not outcome.successful() and isinstance(outcome._value, _Cancelled)

    def _note_cancel(self):
        """Once, whoever comes first."""
        mine = object()
        if self.__dict__.setdefault("_canceller", mine) is mine:
            super().cancel()
            self.set_running_or_notify_cancel()

    def cancel(self):
        """Let no worker begin the task. Whether it was cancelled, now or before; False where it has begun or ended."""
        if not self._outcome.cancel() and not self._is_cancelled():
            return False
        if self._is_plain():
            self._note_cancel()
        return True

    def cancelled(self):
        """Whether it was cancelled."""
        return self._is_cancelled()

    def running(self):
        """Whether a worker has begun the task, and not ended it."""
        return self._outcome._has_begun and not self.done()

    def done(self):
        """Whether the task has ended, or was cancelled."""
        return self._state != PENDING if self._is_plain() else self._outcome.ready()

    def result(self, timeout=None):
        """Wait for the task and return what it returned, or raise what it raised. TimeoutError after timeout seconds
        without either; WorkerLostError where the worker died that ran it.
        """
        if "_state" in self.__dict__:
            return super().result(timeout)
        outcome = self._outcome
        try:
            if timeout is not None:
                self._await(timeout)
            return outcome.get()
        finally:
            del self, outcome  # what is raised refers to this frame

    def exception(self, timeout=None):
        """Wait for the task, and return what it raised, None where it raised nothing. TimeoutError as of result."""
        if self._is_plain():
            return super().exception(timeout)
        self._await(timeout)
        outcome = self._outcome
        if outcome.successful():
            return None
        if self._is_cancelled():
            raise outcome._value
        return outcome._value

    def _await(self, timeout):
        self._outcome.wait(timeout)
        if not self._outcome.ready():
            raise TimeoutError()


def _results(outcome, end):
    """What a map's items come to, one after the other; the rest is cancelled when nobody wants it."""
    try:
        for i in range(outcome._count):
            if not outcome._await_item(i, None if end is None else end - time.monotonic()):
                raise TimeoutError()
            yield outcome._take_item(i)
    finally:
        outcome.cancel()


def _results_of(submit, items, size, end):
    """The same where at most size items are on their way."""
    futures = collections.deque()
    try:
        for item in items:
            futures.append(submit(*item))
            if len(futures) == size:
                break
        while futures:
            result = futures.popleft().result(None if end is None else end - time.monotonic())
            for item in items:
                futures.append(submit(*item))
                break
            yield result
            del result
    finally:
        for future in futures:
            future.cancel()


class _End:
    """The end of a pool that is shut down, as the standard executor's thread shows it, and its queue."""

    def __init__(self, pool):
        self._pool = pool

    def join(self):
        self._pool.join()

    def join_thread(self):
        pass


class ProcessPoolExecutor(Executor):
    """Calls functions in worker processes: max_workers of them, as many as there are cores where it is None.

    mp_context: how they are started. initializer(*initargs): called in each when it starts; where that fails again and
    again, all futures get BrokenProcessPool. max_tasks_per_child: a worker is replaced after so many tasks. Workers
    start with the first task.
    """

    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None):
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None and not isinstance(max_tasks_per_child, int):
            raise TypeError("max_tasks_per_child must be an integer")
        if max_tasks_per_child is not None and max_tasks_per_child <= 0:
            raise ValueError("max_tasks_per_child must be >= 1")
        if mp_context is None:
            mp_context = _default_context.get_context(None if max_tasks_per_child is None else "spawn")
        elif not isinstance(mp_context, BaseContext):
            mp_context = _default_context.get_context(mp_context.get_start_method())
        if max_tasks_per_child is not None and mp_context.get_start_method() == "fork":
            raise ValueError("max_tasks_per_child is incompatible with the 'fork' start method: give another context")
        self._max_workers = max_workers or _core.cpu_count()
        self._mp_context = mp_context
        self._initializer, self._initargs = initializer, initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._pool = self._refusal = None
        self._opening = threading.Lock()

    def _open(self):
        """The pool; RuntimeError where there is none any more."""
        with self._opening:
            if _is_exiting:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if self._refusal:
                raise RuntimeError(self._refusal)
            if self._pool is None:
                self._pool = _Pool(self._max_workers, self._initializer, self._initargs, self._max_tasks_per_child,
                                   self._mp_context)
                _open_executors.add(self)
            return self._pool

    def _refuse(self, error):
        """Submitting failed: say why, in the standard executor's words."""
        if self._broken:
            raise BrokenProcessPool(self._broken) from None
        self._open()
        raise error

    @property
    def _broken(self):
        """Why the executor was given up; False where it was not."""
        pool = self._pool
        return pool is not None and pool._is_broken and "the workers could not start, or their initializer failed"

    @property
    def _processes(self):
        """The workers, by pid."""
        pool = self._pool
        return {} if pool is None else {worker.pid: worker for worker in pool._pool if worker.pid}

    @property
    def _executor_manager_thread(self):
        """What others join to see the end of the standard executor: its thread, and its queue."""
        return _End(self._pool)

    _call_queue = _executor_manager_thread

    def submit(self, fn, /, *args, **kwargs):
        """Have fn(*args, **kwargs) called in a worker: a Future. RuntimeError after shutdown."""
        pool = self._pool
        if pool is None or self._refusal:
            pool = self._open()
        try:
            return _Future(pool.apply_async(fn, args, kwargs))
        except Exception as error:
            self._refuse(error)

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None):
        """The results of fn(*items), with one of each iterable, in their order: an iterator.

        A worker takes chunksize calls at a time. TimeoutError where a result is not there timeout seconds after this
        call. With buffersize, at most so many calls are on their way, and items are taken as results are asked for;
        else all are taken at once.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else time.monotonic() + timeout
        pool = self._pool
        if pool is None or self._refusal:
            pool = self._open()
        if buffersize is not None:
            return _results_of(lambda *items: self.submit(fn, *items), zip(*iterables), buffersize, end)
        try:
            if len(iterables) == 1:
                outcome = pool.map_async(fn, iterables[0], chunksize)
            else:
                outcome = pool.starmap_async(fn, zip(*iterables), chunksize)
        except ValueError as error:
            self._refuse(error)
        return _results(outcome, end)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take no more tasks; with cancel_futures none begins that has not, but for the first that each worker was
        started for. wait: until all that was begun has ended and the workers are gone; else that happens meanwhile.
        """
        with self._opening:
            self._refusal = self._refusal or "cannot schedule new futures after shutdown"
            pool = self._pool
        if pool is None or pool._owner != os.getpid():
            return
        pool.close()
        if cancel_futures:
            pool._cancel_after(self._max_workers)
        if wait:
            pool.join()
            _open_executors.discard(self)
        else:
            _end_meanwhile(pool)

    def __exit__(self, kind, *rest):
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._interrupt()
        return super().__exit__(kind, *rest)

    def _interrupt(self):
        """Ctrl-C has ended the program: nobody waits for what the workers do, who take no notice of it."""
        pool = self._pool
        if pool is not None and pool._owner == os.getpid():
            pool.terminate()

    def __del__(self):
        if getattr(self, "_pool", None) is not None and not self._refusal:
            self.shutdown(wait=False)


# What is to be waited for when the interpreter ends.
_open_executors = weakref.WeakSet()
_ending_pools = set()
_is_exiting = False


def _end_meanwhile(pool):
    """Hold a pool until its tasks are done: its futures may be nobody's."""
    if pool in _ending_pools or _is_exiting:
        return

    def end():
        pool.join()
        _ending_pools.discard(pool)

    _ending_pools.add(pool)
    threading.Thread(target=end, name="ExecutorEnd", daemon=True).start()


def _exit():
    """The interpreter ends: what was submitted is done first, but where it ends by Ctrl-C."""
    global _is_exiting
    _is_exiting = True
    is_interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    for executor in list(_open_executors):
        if is_interrupted:
            executor._interrupt()
        executor.shutdown()
    for pool in list(_ending_pools):
        if pool._owner == os.getpid():
            if is_interrupted:
                pool.terminate()
            pool.join()


threading._register_atexit(_exit)  # before threads are waited for, as the standard executors do

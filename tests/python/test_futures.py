"""The executor: the standard interface and futures, workers that die, cancellation, initializers, and its end."""

import asyncio
import concurrent.futures
import gc
import os
import pickle
import signal
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import pytest
import shoal
from shoal.futures import ProcessPoolExecutor, UnreadableError, WorkerLostError


def square(x):
    return x * x


def fail(x):
    raise ValueError(x)


def kill_myself(*ignored):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


@pytest.fixture
def forked():
    with ProcessPoolExecutor(2, mp_context=shoal.get_context("fork")) as executor:
        yield executor


def keywords(*args, **kwargs):
    return args, kwargs


def test_submit_calls_with_all_kinds_of_arguments(executor):
    assert executor.submit(square, 7).result(30) == 49
    assert executor.submit(keywords, 1, fn=2, self=3).result(30) == ((1,), {"fn": 2, "self": 3})
    data = os.urandom(3000000)
    assert executor.submit(keywords, data).result(30) == ((data,), {})


def test_exceptions_come_back_with_their_traceback(executor):
    future = executor.submit(fail, "wanted")
    with pytest.raises(ValueError, match="wanted") as caught:
        future.result(30)
    assert "in fail" in str(caught.value.__cause__)
    assert future.exception() is caught.value and future.done() and not future.cancelled()


def test_futures_are_those_of_the_standard_library(executor):
    futures = [executor.submit(square, i) for i in range(30)]
    plain = concurrent.futures.Future()
    assert isinstance(futures[0], concurrent.futures.Future)
    assert sorted(future.result() for future in concurrent.futures.as_completed(futures, 30)) == \
        [i * i for i in range(30)]
    done, not_done = concurrent.futures.wait([*futures, plain], 0.1)
    assert done == set(futures) and not_done == {plain}
    assert all(future.result() == i * i for i, future in enumerate(futures))


def test_wait_for_the_first_of_several(forked):
    slow, quick = forked.submit(time.sleep, 1000), forked.submit(square, 2)
    done, not_done = concurrent.futures.wait([slow, quick], 30, concurrent.futures.FIRST_COMPLETED)
    assert done == {quick} and not_done == {slow}
    for process in forked._processes.values():
        process.kill()


def test_result_in_many_threads_at_once(forked):
    futures = [forked.submit(square, i) for i in range(200)]
    wrong = []

    def look(which):
        for i, future in enumerate(futures):
            if i % 3 == which:
                future.add_done_callback(lambda future: future.result())
            if future.result(30) != i * i or not future.done():
                wrong.append(i)

    threads = [threading.Thread(target=look, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not wrong


def test_callbacks_are_called_once_whenever_they_are_added(forked):
    called, later = [], threading.Event()
    future = forked.submit(time.sleep, 0.1)
    future.add_done_callback(called.append)
    future.add_done_callback(lambda future: later.set())
    assert later.wait(30)
    future.add_done_callback(called.append)
    assert called == [future, future]


def test_result_waits_as_long_as_it_is_told(forked):
    future = forked.submit(time.sleep, 1000)
    begin = time.monotonic()
    for ask in (future.result, future.exception):
        with pytest.raises(concurrent.futures.TimeoutError):
            ask(timeout=0.1)
    assert 0.2 <= time.monotonic() - begin < 5
    future.add_done_callback(int)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0.1)
    for process in forked._processes.values():
        process.kill()


def wait_for(event, x):
    event.wait(40)
    return x


def test_cancel_takes_what_has_not_begun(context):
    event = context.Event()
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        first = executor.submit(wait_for, event, 1)
        while not first.running():
            time.sleep(0.01)
        others = [executor.submit(square, i) for i in range(5)]
        watched = []
        others[1].add_done_callback(watched.append)
        assert not first.cancel() and others[0].cancel() and others[0].cancel() and others[1].cancel()
        assert watched == [others[1]]
        assert [future.cancelled() for future in others] == [True, True, False, False, False]
        assert others[0].done() and not others[2].done() and not others[2].running()
        for future in others[:2]:
            with pytest.raises(concurrent.futures.CancelledError):
                future.result(10)
            with pytest.raises(concurrent.futures.CancelledError):
                future.exception(10)
        assert concurrent.futures.wait(others[:2], 10).not_done == set()
        event.set()
        assert first.result(30) == 1 and not first.cancel()
        assert [future.result(30) for future in others[2:]] == [4, 9, 16]


def test_death_costs_one_future(executor):
    lost = executor.submit(kill_myself)
    others = [executor.submit(square, i) for i in range(20)]
    with pytest.raises(WorkerLostError, match="SIGKILL") as caught:
        lost.result(30)
    assert isinstance(caught.value, BrokenProcessPool) and isinstance(caught.value, shoal.pool.WorkerLostError)
    assert caught.value.signal == signal.SIGKILL and caught.value.exitcode == -signal.SIGKILL
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), WorkerLostError)
    assert [future.result(30) for future in others] == [i * i for i in range(20)]
    assert executor.submit(square, 3).result(30) == 9


def test_many_deaths_cost_as_many_futures(forked):
    futures = [forked.submit(kill_myself if i % 10 == 3 else square, i) for i in range(60)]
    for i, future in enumerate(futures):
        if i % 10 == 3:
            assert isinstance(future.exception(30), WorkerLostError)
        else:
            assert future.result(30) == i * i


def test_sys_exit_in_a_task_is_its_result(executor):
    with pytest.raises(SystemExit) as caught:
        executor.submit(sys.exit, 5).result(30)
    assert caught.value.code == 5
    assert executor.submit(square, 3).result(30) == 9


class Unpicklable:
    def __reduce__(self):
        raise pickle.PicklingError("not me")


class Unreadable:
    def __reduce__(self):
        return fail, ("unread",)


def make(cls):
    return cls()


def test_what_cannot_be_pickled_costs_one_future(executor):
    futures = [executor.submit(square, Unpicklable()), executor.submit(make, Unpicklable)]
    for future in futures:
        with pytest.raises(pickle.PicklingError, match="not me"):
            future.result(30)
    futures = [executor.submit(square, Unreadable()), executor.submit(make, Unreadable)]
    for future in futures:
        with pytest.raises(UnreadableError, match="unread"):
            future.result(30)
    assert executor.submit(square, 3).result(30) == 9


def test_map_gives_results_in_order(executor):
    assert list(executor.map(square, range(100))) == [i * i for i in range(100)]
    assert list(executor.map(pow, range(50), [2] * 50, chunksize=7)) == [i * i for i in range(50)]
    assert list(executor.map(square, [])) == []
    assert list(executor.map(square, iter(range(9)), buffersize=2)) == [i * i for i in range(9)]
    for wrong in ({"chunksize": 0}, {"buffersize": 0}):
        with pytest.raises(ValueError):
            executor.map(square, [1], **wrong)


def test_map_raises_at_the_item_that_failed(forked):
    results = forked.map(divmod, [1, 1, 1], [1, 0, 1])
    assert next(results) == (1, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)
    results = forked.map(kill_myself, [1])
    with pytest.raises(WorkerLostError):
        next(results)


def test_map_has_a_timeout(forked):
    results = forked.map(time.sleep, [0, 1000], timeout=0.5)
    assert next(results) is None
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    for process in forked._processes.values():
        process.kill()


def test_map_with_a_buffer_takes_no_more_than_that(forked):
    taken = []
    results = forked.map(square, (taken.append(i) or i for i in range(100)), buffersize=3)
    assert next(results) == 0 and len(taken) <= 4
    results.close()
    assert len(taken) <= 4


def initialize(value):
    globals()["initialized"] = value


def get_initialized(_):
    return initialized  # noqa: F821: by initialize


def test_initializer_runs_in_each_worker(context):
    with ProcessPoolExecutor(2, mp_context=context, initializer=initialize, initargs=("yes",)) as executor:
        assert set(executor.map(get_initialized, range(10))) == {"yes"}


def test_initializer_that_fails_breaks_the_executor(context):
    with ProcessPoolExecutor(1, mp_context=context, initializer=fail, initargs=("wanted",)) as executor:
        with pytest.raises(BrokenProcessPool, match="wanted") as caught:
            executor.submit(square, 1).result(50)
        assert not isinstance(caught.value, WorkerLostError)
        assert executor._broken
        with pytest.raises(BrokenProcessPool):
            executor.submit(square, 1)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_are_replaced_after_their_tasks(method):
    with ProcessPoolExecutor(1, mp_context=shoal.get_context(method), max_tasks_per_child=2) as executor:
        pids = [executor.submit(os.getpid).result(30) for _ in range(4)]
    assert pids[0] == pids[1] and pids[2] == pids[3] and pids[1] != pids[2]


@pytest.mark.parametrize("arguments, error", [
    ({"max_workers": 0}, ValueError), ({"max_workers": -1}, ValueError), ({"initializer": 3}, TypeError),
    ({"max_tasks_per_child": 0}, ValueError), ({"max_tasks_per_child": 1.5}, TypeError),
    ({"max_tasks_per_child": 3, "mp_context": shoal.get_context("fork")}, ValueError)])
def test_wrong_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        ProcessPoolExecutor(**arguments)


def test_context_of_the_standard_library_is_taken_for_its_start_method():
    import multiprocessing
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        assert executor.submit(square, 3).result(30) == 9


def test_tasks_may_have_children_of_their_own(forked):
    assert forked.submit(have_a_child).result(30) == 0


def have_a_child():
    process = shoal.get_context("fork").Process(target=int)
    process.start()
    process.join(30)
    return process.exitcode


def test_shutdown_waits_for_what_was_submitted(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(time.sleep, 0.02) for _ in range(20)]
    executor.shutdown()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)
    executor.shutdown()


def test_shutdown_may_cancel_what_has_not_begun(context):
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(time.sleep, 0.1) for _ in range(100)]
    futures[0].result(30)
    executor.shutdown(cancel_futures=True)
    cancelled = [future.cancelled() for future in futures]
    assert sum(cancelled) > 50 and not cancelled[0]
    assert all(future.done() for future in futures)


def test_shutdown_without_waiting_and_no_executor_left(context):
    executor, queue = ProcessPoolExecutor(2, mp_context=context), context.Queue()
    future = executor.submit(square, 5)
    executor.submit(queue.put, "nobody's")
    executor.shutdown(wait=False)
    del executor
    gc.collect()
    assert future.result(30) == 25
    assert queue.get(timeout=30) == "nobody's"


def test_dropped_executor_ends_its_workers(forked):
    executor = ProcessPoolExecutor(1, mp_context=shoal.get_context("fork"))
    pid = executor.submit(os.getpid).result(30)
    del executor
    gc.collect()
    end = time.monotonic() + 30
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists("/proc/%d" % pid)


PENDING = """
import shoal.futures, sys, time

def work(queue, i):
    time.sleep(0.1)
    queue.put(i)
    if i == 5:
        print("worked", queue.qsize(), flush=True)

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    queue = context.Queue()
    executor = shoal.futures.ProcessPoolExecutor(1, mp_context=context)
    for i in range(6):
        executor.submit(work, queue, i)
    if sys.argv[2] == "no wait":
        executor.shutdown(wait=False)
    print("end", flush=True)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("how", ["left open", "no wait"])
def test_interpreter_does_what_was_submitted_before_it_ends(method, how, run, tmp_path):
    (tmp_path / "program.py").write_text(PENDING)
    assert run([str(tmp_path / "program.py"), method, how]) == ("end\nworked 6\n", "")


def test_asyncio_awaits(executor):
    async def main():
        loop = asyncio.get_running_loop()
        several = [loop.run_in_executor(executor, square, i) for i in range(20)]
        one = asyncio.wrap_future(executor.submit(square, 30))
        with pytest.raises(ValueError):
            await loop.run_in_executor(executor, fail, "wanted")
        return [*await asyncio.gather(*several), await one]

    assert asyncio.run(asyncio.wait_for(main(), 50)) == [*(i * i for i in range(20)), 900]


def test_fork_of_the_main_process_does_not_end_the_executor(forked):
    assert forked.submit(square, 3).result(30) == 9
    process = shoal.get_context("fork").Process(target=forked.shutdown)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert forked.submit(square, 4).result(30) == 16


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_task_may_raise_what_ends_programs(kind):
    with shoal.futures.ProcessPoolExecutor(1, mp_context=shoal.get_context("fork")) as executor:
        future = executor.submit(throw, kind)
        assert concurrent.futures.wait([future], timeout=10).done == {future}
        assert isinstance(future.exception(10), kind)


def throw(kind):
    raise kind("thrown")

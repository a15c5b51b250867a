"""Pools: what they do, what survives a worker's death, what bad input costs."""
import gc
import os
import pickle
import signal
import sys
import threading
import time
import warnings
import weakref

import pytest

import shoal
from shoal.pool import BrokenPoolError, MaybeEncodingError, Pool, RemoteTraceback, WorkerLostError


def square(x):
    return x * x


def add(a, b=0, *, c=0):
    return a + b + c


def same(x):
    return x


def fail(x):
    raise ValueError("no %r" % (x,))


def kill_at_three(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def leave(code):
    sys.exit(code)


def whoami(_=None):
    return os.getpid()


def nap(seconds):
    time.sleep(seconds)
    return seconds


def unpicklable(_):
    return lambda: None


class Awkward(Exception):
    """Pickles, and does not unpickle."""

    def __init__(self, one, two):
        super().__init__("awkward")


def raise_awkward(_):
    raise Awkward(1, 2)


class Unreadable:
    """Cannot be unpickled in a worker."""

    def __reduce__(self):
        return int, ("no number",)


class Unwritable:
    def __reduce__(self):
        raise pickle.PicklingError("this stays here")


class Stateful:
    def __init__(self, n):
        self.n = n

    def times(self, x):
        return self.n * x

    __call__ = times


@pytest.fixture
def pool(context):
    with context.Pool(2) as pool:
        yield pool


@pytest.fixture
def forked():
    with shoal.get_context("fork").Pool(2) as pool:
        yield pool


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


# --- what it does


def test_calls(pool):
    assert pool.apply(square, (7,)) == 49
    assert pool.apply(add, (1,), {"c": 5}) == 6
    assert pool.apply(func=add, args=[1, 2], kwds={}) == 3
    assert pool.apply(whoami) != os.getpid()
    assert pool.apply_async(add, (1, 2)).get(timeout=30) == 3


def test_maps(pool):
    assert pool.map(square, range(100)) == [x * x for x in range(100)]
    assert pool.map(square, iter([5]), chunksize=3) == [25]
    assert pool.map(square, []) == []
    assert pool.starmap(add, [(1, 2), [3, 4]]) == [3, 7]
    assert pool.map_async(str, range(3)).get() == ["0", "1", "2"]
    assert pool.starmap_async(pow, [(2, 5), (3, 2)]).get() == [32, 9]
    assert pool.map(same, [None, 1.5, "text", b"bytes", 1 << 80, [1, {2: 3}]]) == [
        None, 1.5, "text", b"bytes", 1 << 80, [1, {2: 3}]]


@pytest.mark.parametrize("make", [lambda n: list(range(n)), lambda n: iter(range(n))], ids=["list", "iterator"])
@pytest.mark.parametrize("chunk", [1, 7])
def test_results_one_by_one(forked, make, chunk):
    assert list(forked.imap(square, make(100), chunk)) == [x * x for x in range(100)]
    assert sorted(forked.imap_unordered(square, make(100), chunk)) == [x * x for x in range(100)]
    assert list(forked.imap(square, make(0), chunk)) == []


def test_unordered_results_do_not_wait_for_a_slow_one(forked):
    items = [1.0] + [0] * 20
    for iterable in (items, iter(items)):
        results = forked.imap_unordered(nap, iterable)
        begin = time.monotonic()
        assert [next(results) for _ in range(20)] == [0] * 20
        assert time.monotonic() - begin < 0.9
        assert next(results) == 1.0
        with pytest.raises(StopIteration):
            next(results)


def test_an_iterator_can_be_asked_with_a_limit(forked):
    results = forked.imap(nap, [0.5])
    with pytest.raises(shoal.TimeoutError):
        results.next(timeout=0.01)
    assert results.next(timeout=30) == 0.5
    with pytest.raises(StopIteration):
        results.next()


def test_input_without_end(forked):
    def count():
        x = 0
        while True:
            yield x
            x += 1

    results = forked.imap(square, count())
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]


def test_bounded_input_is_taken_as_results_are(forked):
    taken = []

    def source():
        for x in range(100):
            taken.append(x)
            yield x

    results = forked.imap(square, source(), buffersize=3)
    assert len(taken) == 3
    assert next(results) == 0
    assert len(taken) <= 4
    assert list(results) == [x * x for x in range(1, 100)]
    with pytest.raises(ValueError):
        forked.imap(square, [], buffersize=0)


def test_what_imap_has_accepted_is_done_after_close(forked):
    results = forked.imap(square, iter(range(5000)))
    forked.close()
    forked.join()
    assert list(results) == [x * x for x in range(5000)]


@pytest.mark.parametrize("function, expected", [
    (Stateful(3), 15), (Stateful(4).times, 20), (lambda x: x + 1, 6), (int, 5), ([5].index, 0)], ids=str)
def test_functions_with_state(forked, function, expected):
    pytest.importorskip("cloudpickle") if getattr(function, "__name__", "") == "<lambda>" else None
    assert forked.map(function, [5, 5]) == [expected, expected]
    assert forked.apply(function, (5,)) == expected


def test_state_is_read_anew_for_each_task(forked):
    function = Stateful(1)
    assert forked.map(function, [1, 2]) == [1, 2]
    function.n = 2
    assert forked.map(function, [1, 2]) == [2, 4]
    assert forked.apply(function.times, (3,)) == 6


def test_callbacks(forked):
    seen = []
    threads = set()

    def note(value):
        seen.append(value)
        threads.add(threading.current_thread())

    forked.apply_async(square, (3,), callback=note).wait()
    forked.map_async(square, [1, 2], callback=note).wait()
    forked.apply_async(fail, (3,), callback=note, error_callback=lambda e: note(type(e))).wait()
    assert seen == [9, [1, 4], ValueError]
    assert threading.current_thread() not in threads


def test_a_callback_that_raises_stops_no_other(forked, capsys):
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forked.apply_async(square, (1,), callback=lambda value: 1 / 0).wait()
        forked.apply_async(square, (2,), callback=seen.append).wait()
    assert seen == [4]


def test_join_returns_after_the_last_callback(forked):
    seen = []
    for i in range(200):
        forked.apply_async(same, (i,), callback=seen.append)
    forked.close()
    forked.join()
    assert sorted(seen) == list(range(200))


def test_results_before_and_after_they_are_there(forked):
    result = forked.apply_async(nap, (0.3,))
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(shoal.TimeoutError):
        result.get(timeout=0.01)
    result.wait(30)
    assert result.ready() and result.successful()
    assert result.get() is result.get()
    bad = forked.apply_async(fail, (1,))
    bad.wait()
    assert bad.ready() and not bad.successful()


def test_threads_ask_for_one_result(forked):
    result = forked.map_async(nap, [0.2, 0.1])
    found = []
    threads = [threading.Thread(target=lambda: found.append(result.get())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[0.2, 0.1]] * 5


def test_threads_submit(forked):
    sums = []
    threads = [threading.Thread(target=lambda: sums.append(sum(forked.map(square, range(100))))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [328350] * 5


def test_what_was_queued_can_be_cancelled(forked):
    running = [forked.apply_async(nap, (0.5,)) for _ in range(2)]
    queued = forked.apply_async(square, (2,))
    assert queued.cancel()
    with pytest.raises(Exception, match="cancelled"):
        queued.get(timeout=30)
    assert [result.get() for result in running] == [0.5, 0.5]


def test_objects_of_the_package_travel(pool):
    queue = shoal.Queue()
    lock = shoal.Lock()
    assert pool.apply(put_under, (queue, lock, 5)) is None
    assert queue.get(timeout=10) == 5


def put_under(queue, lock, value):
    with lock:
        queue.put(value)


def test_large_bytes_and_arrays(pool):
    data = os.urandom(3 << 20)
    assert pool.apply(same, (data,)) == data
    assert pool.map(len, [data, data[1:]]) == [len(data), len(data) - 1]
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(500_000.0)
    for other in (pool.apply(same, (array,)), *pool.map(same, [array, array])):
        assert (other == array).all()
        other[0] = 7  # its own
    assert array[0] == 0


kept = []


def keep(array):
    kept.append(array)
    return float(array[-1])


def look(_):
    return [float(array[-1]) for array in kept]


def test_a_worker_keeps_an_array_of_its_arguments():
    numpy = pytest.importorskip("numpy")
    with shoal.get_context("fork").Pool(1) as pool:
        for i in range(3):
            assert pool.apply(keep, (numpy.full(400_000, float(i)),)) == i
        assert pool.map(look, [0]) == [[0.0, 1.0, 2.0]]


def test_references_go_with_the_task(forked):
    class Item(list):
        pass

    items = [Item([i]) for i in range(10)]
    references = [weakref.ref(item) for item in items]
    forked.map(len, items)
    del items
    gc.collect()
    assert [reference() for reference in references] == [None] * 10


def test_names_of_workers(context):
    with context.Pool(2) as pool:
        names = {pool.apply(name_of_worker) for _ in range(20)}
        assert all("PoolWorker-" in name for name in names)
        assert len(pool._pool) == 2 and all(worker.is_alive() for worker in pool._pool)
        assert pool.apply(is_daemon)


def name_of_worker():
    return shoal.current_process().name


def is_daemon():
    return shoal.current_process().daemon


def test_initializer(context):
    with context.Pool(2, set_up, (5,)) as pool:
        assert pool.map(get_up, range(4)) == [5] * 4


def set_up(value):
    global up
    up = value


def get_up(_):
    return up


def test_workers_are_replaced_after_their_tasks(context):
    with context.Pool(2, maxtasksperchild=2) as pool:
        pids = [pool.apply(whoami) for _ in range(8)]
    assert len(set(pids)) >= 4


def test_how_much_there_is_to_do(forked):
    results = [forked.apply_async(nap, (0.2,)) for _ in range(6)]
    wait_until(lambda: forked._taskqueue.qsize() <= 4)
    assert 4 <= len(forked._cache) <= 6 and results[-1]._number_left == 1
    for result in results:
        result.wait()
    wait_until(lambda: len(forked._cache) == 0)
    assert forked._taskqueue.qsize() == 0 and results[-1]._number_left == 0


def test_more_workers_than_work():
    with shoal.get_context("fork").Pool(60) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


# --- death


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered", "apply"])
def test_a_killed_worker_costs_its_item(pool, way):
    if way == "apply":
        with pytest.raises(WorkerLostError) as caught:
            pool.apply(kill_at_three, (3,))
        assert caught.value.item == 0
    elif way == "map":
        with pytest.raises(WorkerLostError) as caught:
            pool.map(kill_at_three, range(10), chunksize=5)
        assert caught.value.item == 3
    else:
        results, seen = getattr(pool, way)(kill_at_three, range(10)), []
        with pytest.raises(WorkerLostError) as caught:
            while True:
                seen.append(next(results))
        seen += results
        assert sorted(seen) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    error = caught.value
    assert error.signal == signal.SIGKILL and error.exitcode == -signal.SIGKILL and error.pid and error.task
    assert "SIGKILL" in str(error) and str(error.pid) in str(error)
    assert pool.map(square, range(10)) == [x * x for x in range(10)]
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.pid, copy.signal, str(copy)) == (error.pid, error.signal, str(error))


def test_an_idle_worker_that_is_killed_costs_nothing(pool):
    for _ in range(3):
        before = pool.apply(whoami)
        os.kill(before, signal.SIGKILL)
        assert pool.map(square, range(20)) == [x * x for x in range(20)]


def test_a_task_that_exits(forked):
    with pytest.raises(WorkerLostError) as caught:
        forked.apply(leave, (3,))
    assert caught.value.exitcode == 3 and caught.value.signal is None
    assert "exited with code 3" in str(caught.value)
    assert forked.apply(square, (3,)) == 9


def test_a_worker_is_lost_as_users_catch_it(forked):
    for kind in (shoal.ProcessError, RuntimeError):
        with pytest.raises(kind):
            forked.apply(kill_at_three, (3,))


def test_the_keeper_may_die():
    before = set(children_of(os.getpid()))
    with shoal.get_context("fork").Pool(2) as pool:
        keeper, = set(children_of(os.getpid())) - before - {worker.pid for worker in pool._pool}
        os.kill(keeper, signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            pool.apply(kill_at_three, (3,))
        wait_until(lambda: pool.map(square, range(10)) and pool._stats()["keeper_restarts"] >= 1)
        assert pool.map(square, range(10)) == [x * x for x in range(10)]


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


# --- the end


def test_nothing_is_taken_after_close(forked):
    forked.close()
    for call in (lambda: forked.apply(square, (1,)), lambda: forked.apply_async(square, (1,)),
                 lambda: forked.map(square, [1]), lambda: forked.map(square, []), lambda: forked.imap(square, [1]),
                 lambda: forked.imap_unordered(square, iter([1])), lambda: forked.starmap(add, [(1, 2)])):
        with pytest.raises(ValueError, match="Pool not running"):
            call()
    forked.join()
    with pytest.raises(ValueError):
        forked.__enter__()


def test_join_wants_an_end(forked):
    with pytest.raises(ValueError, match="still running"):
        forked.join()


def test_terminate_with_much_to_do(forked):
    results = [forked.apply_async(nap, (0.1,)) for _ in range(10_000)]
    begin = time.monotonic()
    forked.terminate()
    forked.join()
    assert time.monotonic() - begin < 5
    with pytest.raises(Exception, match="terminated"):
        results[-1].get(timeout=10)


def test_pools_leave_no_process():
    before = set(children_of(os.getpid()))
    for _ in range(3):
        with shoal.get_context("fork").Pool(2) as pool:
            pool.map(square, range(10))
        pool.join()
    del pool
    gc.collect()
    assert set(children_of(os.getpid())) <= before


def test_a_forgotten_pool_is_warned_of():
    pool = shoal.get_context("fork").Pool(1)
    with pytest.warns(ResourceWarning):
        del pool
        gc.collect()


def test_a_pool_does_not_travel(forked):
    with pytest.raises(NotImplementedError):
        pickle.dumps(forked)


def test_a_forked_child_cannot_submit(forked):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            forked.apply(square, (1,))
        except RuntimeError as error:
            code = 0 if "process" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert forked.apply(square, (2,)) == 4


# --- bad input


@pytest.mark.parametrize("arguments", [dict(processes=0), dict(processes=-1), dict(maxtasksperchild=0),
                                       dict(maxtasksperchild=1.5)], ids=str)
def test_bad_numbers(arguments):
    with pytest.raises(ValueError):
        Pool(**arguments)


def test_an_initializer_that_cannot_be_called():
    with pytest.raises(TypeError):
        Pool(1, initializer=5)


def test_missing_arguments(forked):
    for call in (forked.apply, forked.map, lambda: forked.map(square), lambda: forked.apply(square, bad=1)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError):
        forked.map(square, 5)
    with pytest.raises(ValueError):
        forked.imap(square, [1], 0)


def test_an_exception_comes_with_its_traceback(pool):
    with pytest.raises(ValueError, match="no 5") as caught:
        pool.apply(fail, (5,))
    assert type(caught.value.__cause__) is RemoteTraceback
    assert "in fail" in str(caught.value.__cause__)


def test_an_initializer_that_raises(context, capfd):
    with context.Pool(2, fail, ("start",)) as pool:
        result = pool.apply_async(square, (1,))
        with pytest.raises(BrokenPoolError, match="ValueError: no 'start'"):
            result.get(timeout=30)
        with pytest.raises(BrokenPoolError, match="ValueError: no 'start'"):
            pool.apply(square, (1,))


def test_a_result_that_cannot_be_pickled(pool):
    with pytest.raises(MaybeEncodingError):
        pool.apply(unpicklable, (1,))
    assert pool.apply(square, (2,)) == 4


def test_an_exception_that_cannot_be_unpickled(pool):
    with pytest.raises(MaybeEncodingError) as caught:
        pool.apply(raise_awkward, (1,))
    assert "raise_awkward" in str(caught.value.__cause__)
    assert pool.apply(square, (2,)) == 4


def test_an_argument_that_cannot_be_unpickled(pool):
    with pytest.raises(ValueError):
        pool.apply(same, (Unreadable(),))
    results = pool.imap(same, [1, Unreadable(), 3])
    assert next(results) == 1
    with pytest.raises(ValueError):
        next(results)
    assert next(results) == 3


def test_an_argument_that_cannot_be_pickled(forked):
    with pytest.raises(pickle.PicklingError, match="stays here"):
        forked.apply_async(same, (Unwritable(),)).get(timeout=30)
    results = forked.imap(same, [1, Unwritable(), 3])
    assert next(results) == 1
    with pytest.raises(pickle.PicklingError):
        next(results)
    assert next(results) == 3
    seen = []
    forked.apply_async(same, (Unwritable(),), error_callback=seen.append).wait()
    assert len(seen) == 1 and isinstance(seen[0], pickle.PicklingError)


def test_a_function_that_cannot_be_pickled(forked):
    with pytest.raises(Exception):
        forked.map(Unwritable(), [1, 2])
    assert forked.map(square, [1, 2]) == [1, 4]


def test_a_source_that_raises(forked):
    def source():
        yield 1
        raise KeyError("midway")

    with pytest.raises(KeyError):
        forked.map(square, source())
    for results in (forked.imap(square, source()), forked.imap_unordered(square, source())):
        assert next(results) == 1
        with pytest.raises(KeyError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


# --- in programs of their own


def test_a_pool_that_is_open_at_the_end(run):
    out, err = run("import shoal\n"
                   "pool = shoal.get_context('fork').Pool(2)\n"
                   "print(pool.map(abs, [-1, 2]))\n")
    assert out == "[1, 2]\n"
    assert err == ""


def test_a_pool_in_a_cycle_at_the_end(run):
    out, err = run("import shoal\n"
                   "class Holder: pass\n"
                   "holder = Holder()\n"
                   "holder.pool = shoal.get_context('fork').Pool(2)\n"
                   "holder.self = holder\n"
                   "print(holder.pool.apply(abs, (-1,)))\n"
                   "holder.result = holder.pool.apply_async(abs, (-2,), callback=print)\n")
    assert out.startswith("1\n")
    assert err == ""


def test_nested_pools(run):
    out, err = run("import shoal\n"
                   "from multiprocessing.process import current_process\n"
                   "def inner(n):\n"
                   "    try:\n"
                   "        shoal.get_context('fork').Pool(1)\n"
                   "    except AssertionError as error:\n"
                   "        return str(error)\n"
                   "def outer(queue):\n"
                   "    with shoal.get_context('fork').Pool(2) as pool:\n"
                   "        queue.put(pool.map(abs, [-1, -2]))\n"
                   "with shoal.get_context('fork').Pool(1) as pool:\n"
                   "    print('daemonic' in pool.apply(inner, (1,)))\n"
                   "queue = shoal.Queue()\n"
                   "process = shoal.get_context('fork').Process(target=outer, args=(queue,))\n"
                   "process.start()\n"
                   "print(queue.get(timeout=20))\n"
                   "process.join()\n"
                   "print(process.exitcode)\n")
    assert out == "True\n[1, 2]\n0\n", err


def test_an_interrupt_reaches_the_main_process_alone(run):
    out, err = run("import os, shoal, signal, time, threading\n"
                   "def work(n):\n"
                   "    time.sleep(20)\n"
                   "os.setpgid(0, 0)\n"
                   "with shoal.get_context('fork').Pool(2) as pool:\n"
                   "    threading.Timer(0.5, os.killpg, (0, signal.SIGINT)).start()\n"
                   "    begin = time.monotonic()\n"
                   "    try:\n"
                   "        pool.map(work, [1, 2, 3])\n"
                   "    except KeyboardInterrupt:\n"
                   "        print('interrupted', time.monotonic() - begin < 5)\n")
    assert out == "interrupted True\n"
    assert err == ""


def test_a_pool_without_a_keeper_can_be_dropped(run):
    out, err = run("import os, shoal, signal, warnings\n"
                   "warnings.simplefilter('ignore')\n"
                   "pool = shoal.get_context('fork').Pool(1)\n"
                   "pool.apply(abs, (1,))\n"
                   "for child in open('/proc/self/task/%d/children' % os.getpid()).read().split():\n"
                   "    if 'keeper' in open('/proc/%s/comm' % child).read():\n"
                   "        os.kill(int(child), signal.SIGKILL)\n"
                   "        os.waitid(os.P_PID, int(child), os.WEXITED | os.WNOWAIT)\n"
                   "pool._finalizer.cancel()\n"
                   "del pool\n"
                   "print('dropped')\n")
    assert out == "dropped\n", err

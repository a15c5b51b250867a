"""Queues: between processes, with limits, joinable, polled, handed on."""

import gc
import os
import pickle
import queue
import signal
import threading
import time
from multiprocessing import connection

import pytest
import shoal


def echo(source, target):
    for item in iter(source.get, None):
        target.put(item)


def test_messages_go_there_and_back(context):
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=echo, args=(there, back))
    process.start()
    for item in (1, "two", [3], b"4" * 100000):
        there.put(item)
        assert back.get(timeout=30) == item
    there.put(None)
    process.join(30)
    assert process.exitcode == 0


def put_many(target, count):
    for i in range(count):
        target.put(i)


def test_what_put_returned_from_is_there_when_its_process_has_ended(context):
    target = context.Queue()
    process = context.Process(target=put_many, args=(target, 10000))
    process.start()
    process.join(50)
    assert process.exitcode == 0
    assert target.qsize() == 10000
    assert [target.get_nowait() for _ in range(10000)] == list(range(10000))


def test_queue_lives_on_for_a_child_that_has_just_been_started(context):
    back = context.Queue()
    there = context.Queue()
    there.put("kept")
    process = context.Process(target=relay, args=(there, back))
    process.start()
    del there
    gc.collect()
    assert back.get(timeout=30) == "kept"
    process.join(30)


def relay(there, back):
    back.put(there.get(timeout=20))


def test_bounded_queue_is_full_and_full_is_raised():
    bounded = shoal.Queue(2)
    bounded.put(1)
    assert not bounded.full()
    bounded.put(2, True, 1)
    assert bounded.full() and bounded.qsize() == 2
    for call in (lambda: bounded.put_nowait(3), lambda: bounded.put(3, False), lambda: bounded.put(3, block=False),
                 lambda: bounded.put(3, timeout=0.01), lambda: bounded.put(3, True, -1)):
        with pytest.raises(queue.Full):
            call()
    assert bounded.get() == 1


def test_empty_queue_raises_empty_at_the_right_time():
    empty = shoal.Queue()
    for call in (empty.get_nowait, lambda: empty.get(False), lambda: empty.get(block=False),
                 lambda: empty.get(True, -1)):
        with pytest.raises(queue.Empty):
            call()
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        empty.get(timeout=0.2)
    assert 0.2 <= time.monotonic() - begin < 5


@pytest.mark.parametrize("arguments", [((1, 2, 3, 4), {}), ((), {}), ((1,), {"blok": 1}), ((1,), {"obj": 2})])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(TypeError):
        shoal.Queue().put(*arguments[0], **arguments[1])


def test_timeouts_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError):
        shoal.Queue().get(timeout="soon")
    with pytest.raises(ValueError):
        shoal.Queue().get(timeout=float("nan"))


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError("no pickle of me")


def test_object_that_cannot_be_pickled_is_reported_and_takes_no_room(capsys):
    bounded = shoal.Queue(1)
    bounded.put(Unpicklable())
    assert "no pickle of me" in capsys.readouterr().err
    assert bounded.empty()
    bounded.put(1)
    assert bounded.get() == 1


def test_subclass_is_told_of_objects_that_cannot_be_pickled():
    class Careful(shoal.queues.Queue):
        told = None

        def _on_queue_feeder_error(self, e, obj):
            Careful.told = e, obj

    careful, item = Careful(ctx=shoal.get_context()), Unpicklable()
    careful.put(item)
    assert type(Careful.told[0]) is ZeroDivisionError and Careful.told[1] is item


def test_simple_queue_raises_what_pickling_raises():
    with pytest.raises(ZeroDivisionError):
        shoal.SimpleQueue().put(Unpicklable())


def test_closed_queue_is_refused():
    closed = shoal.Queue()
    closed.close()
    closed.close()
    closed.join_thread()
    for call in (lambda: closed.put(1), closed.get, lambda: closed.put_nowait(1), closed.get_nowait):
        with pytest.raises(ValueError, match="is closed"):
            call()


def test_queue_without_init_is_refused():
    class Forgetful(shoal.queues.Queue):
        def __init__(self):
            pass

    for call in (lambda: Forgetful().put(1), Forgetful().get, Forgetful().qsize, Forgetful().empty):
        with pytest.raises(ValueError):
            call()


def work(source):
    for _ in iter(source.get, None):
        source.task_done()
    source.task_done()


def test_join_waits_for_all_that_was_put(context):
    joinable = context.JoinableQueue()
    workers = [context.Process(target=work, args=(joinable,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for i in range(100):
        joinable.put(i)
    joinable.join()
    for worker in workers:
        joinable.put(None)
    joinable.join()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    with pytest.raises(ValueError):
        joinable.task_done()


def test_reader_can_be_waited_for():
    one, two = shoal.SimpleQueue(), shoal.Queue()
    assert connection.wait([one._reader, two._reader], 0.05) == []
    two.put("x")
    assert connection.wait([one._reader, two._reader], 10) == [two._reader]
    assert two._reader.poll() and not one._reader.poll(0.01)
    assert two.get() == "x"
    assert connection.wait([one._reader, two._reader], 0.05) == []


def test_get_runs_signal_handlers_and_goes_on_waiting():
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        with pytest.raises(queue.Empty):
            shoal.Queue().get(timeout=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert len(seen) >= 3


def test_get_is_ended_by_what_a_handler_raises():
    def raise_it(*_):
        raise InterruptedError("enough")

    old = signal.signal(signal.SIGALRM, raise_it)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            shoal.Queue().get()
    finally:
        signal.signal(signal.SIGALRM, old)


def test_other_threads_run_while_one_waits():
    shared = shoal.Queue()
    got = []
    thread = threading.Thread(target=lambda: got.append(shared.get(timeout=30)))
    thread.start()
    time.sleep(0.05)
    shared.put("there")
    thread.join(30)
    assert got == ["there"]


def put_through(handle, item):
    handle.put(item)
    return os.getpid()


def test_queue_travels_through_pool_queue_and_pipe(context):
    target, carrier = context.Queue(), context.Queue()
    first, second = context.Pipe()
    with context.Pool(2) as pool:
        pids = pool.starmap(put_through, [(target, i) for i in range(4)])
    assert os.getpid() not in pids
    assert sorted(target.get(timeout=10) for _ in range(4)) == [0, 1, 2, 3]
    carrier.put(target)
    carrier.get(timeout=10).put("a")
    first.send(target)
    second.recv().put("b")
    assert [target.get(timeout=10), target.get(timeout=10)] == ["a", "b"]


def test_handle_of_another_family_is_refused_with_the_reason(run):
    text = pickle.dumps(shoal.Queue())
    program = "import pickle, shoal\n" \
              "shoal.Queue()\n" \
              "try: pickle.loads(%r)\n" \
              "except RuntimeError as e: print(e)" % text
    out = run(program)[0]
    assert "Queue objects should only be shared between processes through inheritance" in out
    assert "belongs to another family" in out and "shoal.managers.SyncManager" in out


def test_queue_that_is_gone_is_refused():
    text = pickle.dumps(shoal.Queue())
    pickle.loads(text)  # it was on its way until now; this was its only copy
    with pytest.raises(ReferenceError, match="this Queue is gone.*Keep it"):
        pickle.loads(text)


def die_with_a_message(source):
    source.get()
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_getter_blocks_nobody(context):
    shared = context.Queue()
    victim = context.Process(target=die_with_a_message, args=(shared,))
    victim.start()
    shared.put("lost")
    victim.join(30)
    assert victim.exitcode == -signal.SIGKILL
    for i in range(100):
        shared.put(i)
        assert shared.get(timeout=10) == i


def test_forked_child_uses_the_queue_at_once():
    shared = shoal.Queue()
    pid = os.fork()
    if pid == 0:
        try:
            shared.put("child")
        finally:
            os._exit(0)
    assert shared.get(timeout=10) == "child"
    os.waitpid(pid, 0)


def test_hundred_children_leave_nothing():
    from shoal import _core
    shared = shoal.Queue()
    for _ in range(20):
        children = [shoal.Process(target=shared.put, args=(i,)) for i in range(5)]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
    assert sorted(shared.get() for _ in range(100)) == sorted(list(range(5)) * 20)
    assert _core.family_id() is not None

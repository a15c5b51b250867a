"""Ends of processes: exits of all kinds, daemons, threads beside them, interpreters that end with all still open."""

import os
import sys
import threading
import time

import pytest
import shoal
from test_interrupt import METHODS


def leave(how):
    if how == "text":
        sys.exit("some text")
    if how == "os._exit":
        os._exit(9)
    sys.exit(how)


@pytest.mark.parametrize("how, code", [(None, 0), (0, 0), (5, 5), (True, 1), ("text", 1), ("os._exit", 9)])
def test_exit_in_a_child(context, how, code):
    process = context.Process(target=leave, args=(how,))
    process.start()
    process.join(30)
    assert process.exitcode == code


def put_and_vanish(queue, lock):
    lock.acquire()
    for i in range(1000):
        queue.put(i)
    os._exit(4)


def test_what_was_put_before_os_exit_is_there(context):
    queue, lock = context.Queue(), context.Lock()
    process = context.Process(target=put_and_vanish, args=(queue, lock))
    process.start()
    process.join(30)
    assert process.exitcode == 4
    assert [queue.get(timeout=10) for _ in range(1000)] == list(range(1000))
    assert lock.acquire(timeout=10) and lock.owner_died


def start_a_child(context, queue):
    try:
        context.Process(target=int).start()
    except AssertionError as error:
        queue.put(str(error))


def test_daemons_have_no_children(context):
    queue = context.Queue()
    process = context.Process(target=start_a_child, args=(context, queue), daemon=True)
    process.start()
    assert "daemonic processes are not allowed to have children" in queue.get(timeout=30)
    process.join(30)


DAEMON = """
import shoal, sys, time

def child(queue):
    queue.put("up")
    time.sleep(1000)

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,), daemon=True)
    process.start()
    print(queue.get(timeout=30), process.pid)
"""


@pytest.mark.parametrize("method", METHODS)
def test_daemon_ends_with_the_program(method, run, tmp_path):
    (tmp_path / "program.py").write_text(DAEMON)
    out, errors = run([str(tmp_path / "program.py"), method])
    word, pid = out.split()
    assert (word, errors) == ("up", "")
    assert not os.path.exists("/proc/" + pid)


LEFT_OPEN = """
import shoal, sys, threading, time

class Late:
    "Its end comes when the interpreter takes modules apart, and uses what it holds."

    def __init__(self, *things):
        self.things = things

    def __del__(self):
        queue, lock, event = self.things
        queue.put("late")
        with lock:
            event.set()

def child(queue, lock):
    with lock:
        queue.put("from a child")

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    queue, joinable, simple = context.Queue(), context.JoinableQueue(3), context.SimpleQueue()
    lock, own, condition = context.Lock(), context.RLock(), context.Condition()
    event, barrier, semaphore = context.Event(), context.Barrier(2), context.Semaphore(2)
    receiver, sender = context.Pipe()
    value, array = context.Value("i", 1), context.Array("d", 3)
    late = Late(queue, lock, event)
    own.acquire()
    semaphore.acquire()
    for i in range(100):
        queue.put(bytes(i * 1000))
    joinable.put(1)
    process = context.Process(target=child, args=(queue, lock))
    process.start()
    threading.Thread(target=barrier.wait, daemon=True).start()
    threading.Thread(target=simple.get, daemon=True).start()
    threading.Thread(target=event.wait, daemon=True).start()
    threading.Thread(target=receiver.recv, daemon=True).start()
    cycle = [queue, lock, condition]
    cycle.append(cycle)
    print("end")
"""


@pytest.mark.parametrize("method", METHODS)
def test_interpreter_ends_with_everything_open(method, run, tmp_path):
    (tmp_path / "program.py").write_text(LEFT_OPEN)
    assert run([str(tmp_path / "program.py"), method]) == ("end\n", "")


AT_EXIT = """
import atexit, shoal.util, sys

def child(queue):
    shoal.util.Finalize(None, queue.put, args=("finalized",), exitpriority=10)
    queue.put("ran")

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    atexit.register(lambda: print([queue.get(timeout=30), queue.get(timeout=30)]))  # runs before children are joined
    process.start()
"""


@pytest.mark.parametrize("method", METHODS)
def test_program_that_ends_waits_for_its_children_and_their_finalizers(method, run, tmp_path):
    (tmp_path / "program.py").write_text(AT_EXIT)
    assert run([str(tmp_path / "program.py"), method]) == ("['ran', 'finalized']\n", "")


def echo_once(there, back):
    back.put(there.get(timeout=30))


def test_children_are_started_while_threads_use_the_same_objects(context):
    """A fork copies the threads' locks as they are just then: none of shoal's may be held for ever in the child."""
    queue, lock, ending = context.Queue(), context.Lock(), threading.Event()

    def use():
        while not ending.is_set():
            with lock:
                queue.put(b"x" * 5000)
            queue.get(timeout=30)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(20 if context.get_start_method() == "fork" else 3):
            there, back = context.Queue(), context.Queue()
            process = context.Process(target=echo_once, args=(there, back))
            process.start()
            there.put(bytes(3000) + b"%d" % i)
            assert back.get(timeout=30).endswith(b"%d" % i)
            process.join(30)
            assert process.exitcode == 0
    finally:
        ending.set()
        for thread in threads:
            thread.join(30)


def test_threads_start_children_at_once(context):
    results, queue = [], context.Queue()

    def start(number):
        process = context.Process(target=queue.put, args=(number,))
        process.start()
        process.join(40)
        results.append(process.exitcode)

    threads = [threading.Thread(target=start, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert results == [0] * 8
    assert sorted(queue.get(timeout=10) for _ in range(8)) == list(range(8))


def test_plain_fork_in_a_thread_is_of_the_family():
    queue, lock, codes = shoal.Queue(), shoal.Lock(), []

    def fork():
        pid = os.fork()
        if pid == 0:
            try:
                with lock:
                    queue.put(os.getpid())
            finally:
                os._exit(0)
        codes.append((pid, os.waitpid(pid, 0)[1]))

    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(pid for pid, code in codes if code == 0) == sorted(queue.get(timeout=10) for _ in range(4))


def nest(context, queue, depth):
    if depth:
        process = context.Process(target=nest, args=(context, queue, depth - 1))
        process.start()
        process.join(30)
    queue.put(depth)


def test_children_of_children_share_the_family(context):
    queue = context.Queue()
    process = context.Process(target=nest, args=(context, queue, 3))
    process.start()
    process.join(50)
    assert [queue.get(timeout=10) for _ in range(4)] == [0, 1, 2, 3]


def test_process_can_be_asked_after_its_end(context):
    process = context.Process(target=time.sleep, args=(1000,))
    with pytest.raises(AssertionError):
        process.join()
    process.start()
    with pytest.raises(AssertionError):
        process.start()
    assert process.is_alive() and process.exitcode is None
    process.join(0.01)
    assert process.is_alive()
    with pytest.raises(ValueError):
        process.close()
    process.terminate()
    process.join(30)
    assert process.exitcode == -15 and process.pid > 0
    process.close()
    with pytest.raises(ValueError):
        process.is_alive()


def test_only_the_parent_may_wait_for_a_child(context):
    process = context.Process(target=time.sleep, args=(1000,))
    process.start()
    queue = context.Queue()
    other = shoal.get_context("fork").Process(target=ask, args=(process, queue))
    other.start()
    assert queue.get(timeout=30) == ["can only join a child process", "can only test a child process"]
    other.join(30)
    process.kill()
    process.join(30)


def ask(process, queue):
    answers = []
    for method in (process.join, process.is_alive):
        try:
            method()
        except AssertionError as error:
            answers.append(str(error))
    queue.put(answers)

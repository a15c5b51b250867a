"""Ctrl-C and other signals: a program ends once, at once, and takes its children with it."""

import faulthandler
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import shoal
from conftest import LIMIT
from test_process import is_alive

# Each child waits in another way; the main process in the way that its argument names.
PROGRAM = """
import os, shoal, sys, time

def wait(context, things, ready, how):
    queue, bounded, lock, event, condition, barrier, receiver = things
    ready.put(os.getpid())
    if how == "get":
        queue.get()
    elif how == "put":
        bounded.put(2)
    elif how == "lock":
        lock.acquire()
    elif how == "event":
        event.wait()
    elif how == "condition":
        with condition:
            condition.wait()
    elif how == "barrier":
        barrier.wait()
    elif how == "receive":
        receiver.recv()
    elif how == "poll":
        shoal.connection.wait([receiver, queue._reader])
    else:
        time.sleep(1000)

WAYS = "get", "put", "lock", "event", "condition", "barrier", "receive", "poll", "sleep"

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    ways = [way for way in WAYS if way == sys.argv[2]] or WAYS
    receiver, sender = context.Pipe(duplex=False)
    things = (context.Queue(), context.Queue(1), context.Lock(), context.Event(), context.Condition(),
              context.Barrier(20), receiver)
    things[1].put(1)
    things[2].acquire()
    ready = context.SimpleQueue()
    children = [context.Process(target=wait, args=(context, things, ready, way)) for way in ways]
    for child in children:
        child.start()
    print(*[ready.get() for _ in children], flush=True)
    if sys.argv[2] == "join":
        for child in children:
            child.join()
    else:
        print("main", flush=True)
        wait(context, things, ready, sys.argv[2])
"""
METHODS = ["fork", "spawn", "forkserver"]
WAYS = ["get", "put", "lock", "event", "condition", "barrier", "receive", "poll", "sleep"]


@pytest.fixture
def start(tmp_path):
    """Start a program in a session of its own, as a shell starts a job; what it left is ended with the test."""
    started = []

    def start(program, *words):
        path = tmp_path / "program.py"
        path.write_text(program)
        main = subprocess.Popen([sys.executable, str(path), *words], text=True, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(main)
        return main

    yield start
    for main in started:
        try:
            os.killpg(main.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        main.wait(10)
        main.stdout.close()
        main.stderr.close()


def wait_until_asleep(pid):
    """Until a process waits for something; what it says before is written just before it begins to."""
    end = time.monotonic() + LIMIT / 2
    while time.monotonic() < end:
        if pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] == "S":
            return
        time.sleep(0.005)
    raise AssertionError("%d does not wait" % pid)


def end_by(main, send):
    """Wait until main and its children wait, send a signal: (seconds until main ended, errors, pids of children)."""
    pids = [int(word) for word in main.stdout.readline().split()]
    assert pids, main.stderr.read()
    for pid in [*pids, main.pid]:
        wait_until_asleep(pid)
    begin = time.monotonic()
    send(main.pid)
    _, errors = main.communicate(timeout=LIMIT / 2)
    return time.monotonic() - begin, errors, pids


def await_no_process(pids):
    end = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(is_alive, pids))


def interrupt(pid):
    """As a terminal does on Ctrl-C: the main process and all its children get the signal."""
    os.killpg(pid, signal.SIGINT)


@pytest.mark.parametrize("method", METHODS)
def test_interrupt_while_joining_children_that_wait_in_all_ways(method, start):
    main = start(PROGRAM, method, "join")
    took, errors, pids = end_by(main, interrupt)
    assert main.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n"), errors
    assert took < 2
    await_no_process(pids)


@pytest.mark.parametrize("way", WAYS)
def test_interrupt_while_main_and_child_wait(way, start):
    main = start(PROGRAM, "fork", way)
    took, errors, pids = end_by(main, interrupt)
    assert main.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n"), errors
    assert took < 2
    await_no_process(pids)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_main_that_a_signal_kills_takes_its_children_along(method, number, start):
    main = start(PROGRAM, method, "join")
    _, errors, pids = end_by(main, lambda pid: os.kill(pid, number))
    begin = time.monotonic()
    await_no_process(pids)
    assert time.monotonic() - begin < 1
    assert main.returncode == -number
    assert "Traceback" not in errors


CAUGHT = """
import shoal, sys, time

def child(ready):
    ready.put(1)
    time.sleep(1000)

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    ready = context.Queue()
    process = context.Process(target=child, args=(ready,))
    process.start()
    ready.get()
    print(process.pid, flush=True)
    try:
        process.join()
    except KeyboardInterrupt:
        process.join()
        print("bye", process.exitcode)
"""


@pytest.mark.parametrize("method", METHODS)
def test_main_that_catches_the_interrupt_goes_on_in_silence(method, start):
    main = start(CAUGHT, method)
    pid = int(main.stdout.readline())
    for each in (pid, main.pid):
        wait_until_asleep(each)
    interrupt(main.pid)
    out, errors = main.communicate(timeout=LIMIT / 2)
    assert (main.returncode, out, errors) == (0, "bye 1\n", "")


def say(queue, text):
    faulthandler.disable()  # which would describe the death that is wanted
    queue.put(text)
    time.sleep(1000)


def test_interrupted_child_says_where_in_the_log(run):
    program = "import os, shoal, signal, time\n" \
              "shoal.log_to_stderr('INFO')\n" \
              "def child():\n" \
              "    os.kill(os.getpid(), signal.SIGINT)\n" \
              "    time.sleep(1000)\n" \
              "process = shoal.get_context('fork').Process(target=child)\n" \
              "process.start()\n" \
              "process.join()\n"
    _, errors = run(program)
    assert "process was interrupted" in errors and errors.count("Traceback") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1])
def test_exit_code_names_the_signal(context, number):
    queue = context.Queue()
    process = context.Process(target=say, args=(queue, "here"))
    process.start()
    assert queue.get(timeout=30) == "here"
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == -number
    assert not process.is_alive()


def test_child_may_handle_its_termination_while_it_waits(context):
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=wait_until_terminated, args=(there, back))
    process.start()
    assert back.get(timeout=30) == "ready"
    wait_until_asleep(process.pid)
    process.terminate()
    process.join(30)
    assert process.exitcode == 7


def wait_until_terminated(there, back):
    def leave(number, frame):
        raise SystemExit(7)

    signal.signal(signal.SIGTERM, leave)
    back.put("ready")
    there.get()

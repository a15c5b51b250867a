"""Processes: what they take over from their parent, and that they die with it."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import weakref

import pytest
import shoal

ORPHANS = """
import os, shoal, sys, time

def grandchild(pids):
    pids.put(os.getpid())
    time.sleep(1000)

def child(pids, context):
    process = context.Process(target=grandchild, args=(pids,))
    process.start()
    pids.put(os.getpid())
    time.sleep(1000)

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    pids = context.Queue()
    processes = [context.Process(target=child, args=(pids, context)) for _ in range(2)]
    for process in processes:
        process.start()
    print(*[pids.get(timeout=40) for _ in range(4)], flush=True)
    time.sleep(1000)
"""


def is_alive(pid):
    try:
        state = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_nobody_is_left_when_the_main_process_is_killed(method, tmp_path):
    program = tmp_path / "orphans.py"
    program.write_text(ORPHANS)
    main = subprocess.Popen([sys.executable, str(program), method], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in main.stdout.readline().split()]
    assert len(pids) == 4 and all(map(is_alive, pids))
    main.kill()
    main.wait(10)
    begin = time.monotonic()
    while any(map(is_alive, pids)) and time.monotonic() - begin < 10:
        time.sleep(0.01)
    assert not any(map(is_alive, pids))
    assert time.monotonic() - begin < 1
    main.stdout.close()


def outlive(pids, go):
    go.wait(40)
    pids.put("alive")


def start_and_wait(context, pids, go):
    context.Process(target=outlive, args=(pids, go)).start()
    pids.put("started")
    time.sleep(1000)


def test_grandchild_outlives_its_parent(context):
    pids, go = context.Queue(), context.Event()
    process = context.Process(target=start_and_wait, args=(context, pids, go))
    process.start()
    assert pids.get(timeout=40) == "started"
    process.kill()
    process.join(30)
    go.set()
    assert pids.get(timeout=30) == "alive"


def fail(how):
    if how == "exit":
        sys.exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("wanted")


@pytest.mark.parametrize("how, code", [("exit", 3), ("kill", -9), ("raise", 1)])
def test_exit_codes(context, how, code):
    process = context.Process(target=fail, args=(how,))
    process.start()
    process.join(30)
    assert process.exitcode == code


def test_process_object_goes_when_it_is_closed():
    process = shoal.Process(target=int)
    process.start()
    process.join(30)
    process.close()
    gone = weakref.ref(process)
    del process
    assert gone() is None


def test_start_takes_no_descriptor_for_good(context):
    def start():
        process = context.Process(target=int)
        process.start()
        process.join(30)
        process.close()

    start()
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        start()
    assert set(os.listdir("/proc/self/fd")) == before


def test_many_processes_one_after_the_other_find_room():
    for _ in range(300):
        process = shoal.Process(target=int)
        process.start()
        process.join(30)
        assert process.exitcode == 0


def test_child_has_no_handle_of_what_its_parent_dropped_before():
    first = shoal.Queue()
    del first
    process = shoal.Process(target=shoal.Queue().put, args=(1,))
    process.start()
    process.join(30)
    assert process.exitcode == 0

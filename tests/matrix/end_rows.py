"""Rows about the end of the whole program: its main process is killed, or Ctrl-C is pressed."""
import os
import signal
import time

import tasks
from pool_rows import WORKERS, end, warm
from stage import row

ENDED_WITHIN = 3  # seconds from Ctrl-C to the end; a program that takes longer hangs


def opened(stage, package):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    return pool


# --- the main process is killed: the cage counts what is left a second later ---

def kill_main(number, stage, main):
    if os.environ["MATRIX_STARTING"]:
        time.sleep(int(os.environ["MATRIX_ATTEMPT"]) * 0.004)
    main.send_signal(number)
    main.wait(5)
    return "ok" if main.returncode == -number else "ended with %d" % main.returncode


def sigkill(stage, main):
    os.environ["MATRIX_STARTING"] = ""
    return kill_main(signal.SIGKILL, stage, main)


def sigkill_soon(stage, main):
    os.environ["MATRIX_STARTING"] = "1"
    return kill_main(signal.SIGKILL, stage, main)


def sigterm(stage, main):
    os.environ["MATRIX_STARTING"] = ""
    return kill_main(signal.SIGTERM, stage, main)


def with_busy_workers(stage, package):
    pool = opened(stage, package)
    handles = [pool.submit(tasks.announce_and_nap, i) for i in range(8)]
    stage.until(lambda: len(stage.done()) >= WORKERS)
    stage.ready()
    return handles[0].get(None)


@row("the main process is killed while workers are busy: nothing is left after a second", outside=sigkill)
def main_killed_while_busy(stage, package):
    with_busy_workers(stage, package)


@row("the main process is killed while workers are idle", outside=sigkill)
def main_killed_while_idle(stage, package):
    pool = opened(stage, package)
    stage.ready()
    time.sleep(60)
    pool.close()


@row("the main process is killed while workers are starting", outside=sigkill_soon, attempts=8)
def main_killed_while_starting(stage, package):
    end(opened(stage, package))  # all that it imports is there
    stage.ready()
    pool = package.open_pool(8)
    handles = [pool.submit(tasks.nap, 60) for _ in range(8)]
    handles[0].get(None)


@row("the main process gets SIGTERM", outside=sigterm)
def main_gets_sigterm(stage, package):
    with_busy_workers(stage, package)


# --- Ctrl-C: SIGINT to all processes of the group ---

def interrupt(stage, main):
    """Ctrl-C: the program ends, at once, with one traceback."""
    time.sleep((int(os.environ["MATRIX_ATTEMPT"]) + 1) * 0.005)
    os.killpg(main.pid, signal.SIGINT)
    latest = time.monotonic() + ENDED_WITHIN
    while main.poll() is None and time.monotonic() < latest:
        time.sleep(0.01)
    if main.returncode is None:
        return "hang"
    time.sleep(0.1)  # for tracebacks of others
    with open(stage.path("stderr"), errors="replace") as file:
        tracebacks = file.read().count("Traceback (most recent call last)")
    if main.returncode not in (-signal.SIGINT, 130, 1) or tracebacks == 0:
        return "ended with %d" % main.returncode
    return "ok" if tracebacks == 1 else "%d tracebacks" % tracebacks


@row("Ctrl-C during map: the program ends at once, with one traceback", outside=interrupt, attempts=3)
def interrupted_in_map(stage, package):
    with opened(stage, package) as pool:
        stage.ready()
        pool.map(tasks.nap, [20] * 8)


@row("Ctrl-C during get", outside=interrupt, attempts=3)
def interrupted_in_get(stage, package):
    with opened(stage, package) as pool:
        handle = pool.submit(tasks.nap, 20)
        stage.ready()
        handle.get(None)


@row("Ctrl-C during join", outside=interrupt, attempts=3)
def interrupted_in_join(stage, package):
    pool = opened(stage, package)
    handles = [pool.submit(tasks.nap, 20) for _ in range(4)]
    pool.close()
    stage.ready()
    pool.join()
    handles.clear()


@row("Ctrl-C during close", outside=interrupt, attempts=5)
def interrupted_in_close(stage, package):
    pool = opened(stage, package)
    handles = [pool.submit(tasks.nap, 20) for _ in range(2000)]
    stage.ready()
    pool.close()
    handles[0].get(None)


@row("Ctrl-C while a pool is opened", outside=interrupt, attempts=8)
def interrupted_in_opening(stage, package):
    end(opened(stage, package))
    stage.ready()
    pool = package.open_pool(8)
    pool.map(tasks.nap, [20] * 8)


@row("Ctrl-C during a queue's get", outside=interrupt, attempts=3)
def interrupted_in_queue_get(stage, package):
    q = package.objects.Queue()
    with opened(stage, package):
        stage.ready()
        q.get()

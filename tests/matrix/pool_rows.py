"""Rows about a pool whose workers die, or cannot send what they should."""
import functools
import gc
import os
import random
import signal
import threading
import time

import tasks
from packages import Unavailable
from stage import read, row

ITEMS = list(range(8))
WORKERS = 2
ERRORS = (Exception, SystemExit)  # of a task: some packages hand on its sys.exit


def collect(pool, call, function, items):
    """Run a task for all items: {index: value}, and how many errors there were."""
    if call == "map":
        if pool.map_cancels:
            raise Unavailable("an item's exception ends the map")
        try:
            return dict(enumerate(pool.map(function, items))), 0
        except ERRORS:
            return {}, 1
    if call == "imap":
        pairs = list(enumerate(pool.imap(function, items)))
        return {i: value for i, (value, error) in pairs if not error}, sum(1 for _, (_, error) in pairs if error)
    values, errors, handles = {}, 0, {}
    for i, item in enumerate(items):
        try:
            handles[i] = pool.submit(function, item)
        except ERRORS:
            errors += 1
    for i, handle in handles.items():
        try:
            values[i] = handle.get(None)
        except ERRORS:
            errors += 1
    return values, errors


def warm(stage, pool):
    """Workers are there, and have run something."""
    assert [pool.submit(tasks.square, i).get(20) for i in range(4)] == [0, 1, 4, 9]
    stage.until(lambda: len(stage.workers()) >= WORKERS, 1)  # some packages start them when they are needed


def lives(stage, pool, size=WORKERS):
    """What is wrong with a pool that should be as if nothing had been: "" for nothing."""
    try:
        if pool.submit(tasks.square, 5).get(15) != 25:
            return ", then wrong"
    except Exception:
        return ", pool dead"
    for _ in range(4):  # for packages that start workers when they are needed
        pool.submit(tasks.square, 1)
    return "" if stage.until(lambda: len(stage.workers()) == size, 5) else ", pool not full"


def end(pool):
    pool.close()
    pool.join()


def survive(stage, package, call, function, items=ITEMS):
    """One task of eight goes wrong: how many are lost, and what comes after."""
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    descriptors = stage.descriptors()
    values, errors = collect(pool, call, function, items)
    wrong = [i for i, value in values.items() if value != i * i]
    lost = errors
    if call == "map" and errors:  # the call says no more: the others are those that were run, if only a moment later
        stage.until(lambda: len(stage.done()) >= len(items) - 1, 1)
        lost = max(1, len(items) - len(stage.done()))
    outcome = "wrong" if wrong else "%d lost" % lost
    outcome += lives(stage, pool)
    gc.collect()
    if stage.descriptors() > descriptors:
        outcome += ", descriptors leak"
    end(pool)
    return outcome


def with_bad_argument(stage, package, call, bad):
    items = ITEMS[:tasks.BAD] + [bad()] + ITEMS[tasks.BAD + 1:]
    return survive(stage, package, call, tasks.take, items)


for how, title in [
    ("killed", "a worker is killed by its own task"),
    ("segfaulted", "a worker gets SIGSEGV"),
    ("exited", "a task calls _exit"),
    ("sys_exited", "a task calls sys.exit"),
    ("raised_unpicklable", "an exception cannot be pickled"),
    ("raised_ununpicklable", "an exception cannot be unpickled"),
    ("returned_unpicklable", "a result cannot be pickled"),
    ("returned_ununpicklable", "a result cannot be unpickled"),
    ("out_of_memory", "the memory limit is reached inside a task"),
]:
    for call in ("apply_async", "map", "imap"):
        row("%s, in %s" % (title, call), "1 lost", "task_%s_in_%s" % (how, call))(
            functools.partial(survive, call=call, function=getattr(tasks, how)))

for how, title in [("CannotBePickled", "pickled"), ("CannotBeUnpickled", "unpickled")]:
    for call in ("apply_async", "map", "imap"):
        row("an argument cannot be %s, in %s" % (title, call), "1 lost",
            "argument_%s_in_%s" % ("unpicklable" if title == "pickled" else "ununpicklable", call))(
            functools.partial(with_bad_argument, call=call, bad=getattr(tasks, how)))


@row("all idle workers are killed", "0 lost")
def idle_workers_killed(stage, package):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    for pid in stage.workers():
        os.kill(pid, signal.SIGKILL)
    values, errors = collect(pool, "apply_async", tasks.square, ITEMS)
    outcome = ("%d lost" % errors) + lives(stage, pool)
    end(pool)
    return outcome


def kill_now_and_then(stage, stop, kills):
    while not stop.wait(0.05):
        workers = stage.workers()
        if workers:
            try:
                os.kill(random.choice(workers), signal.SIGKILL)
                kills.append(1)
            except ProcessLookupError:
                pass


@row("a random worker is killed every 50 ms under 10,000 tasks", is_long=True, limit=60)
def random_workers_killed(stage, package):
    workers, tasks_in_all = 4, 10000 if stage.seconds >= 60 else 1500
    pool = package.open_pool(workers)
    warm(stage, pool)
    descriptors = stage.descriptors()
    stop, kills, errors, done, wrong = threading.Event(), [], 0, 0, 0
    killer = threading.Thread(target=kill_now_and_then, args=(stage, stop, kills))
    killer.start()
    begin = time.monotonic()
    try:
        while done < tasks_in_all or time.monotonic() < begin + stage.seconds:
            handles = [pool.submit(tasks.pause_and_square, i) for i in range(500)]
            for i, handle in enumerate(handles):
                try:
                    wrong += handle.get(15) != i * i
                except Exception as exception:
                    if "imeout" in type(exception).__name__:
                        return "hang"
                    errors += 1
                done += 1
                if errors > len(kills) + 50:
                    return "%d lost by %d kills" % (errors, len(kills))
    finally:
        stop.set()
        killer.join()
    if wrong or errors > len(kills):
        return "wrong" if wrong else "%d lost by %d kills" % (errors, len(kills))
    outcome = "ok" + lives(stage, pool, workers)
    if stage.descriptors() > descriptors:
        outcome += ", descriptors leak"
    end(pool)
    return outcome


def kill_helpers(stage, package, names):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    helpers = [pid for pid in stage.helpers() if names(pid)]
    if not helpers:
        raise Unavailable("there is no such process")
    handles = [pool.submit(tasks.nap, 0.3) for _ in ITEMS]
    for pid in helpers:
        os.kill(pid, signal.SIGKILL)
    lost = 0
    for handle in handles:
        try:
            handle.get(None)
        except Exception:
            lost += 1
    values, errors = collect(pool, "apply_async", tasks.killed, ITEMS)  # and workers are replaced as before
    outcome = "ok" if (lost, errors) == (0, 1) else "%d lost" % (lost + errors - 1)
    outcome += lives(stage, pool)
    end(pool)
    return outcome


@row("the keeper is killed, then a worker")
def keeper_killed(stage, package):
    return kill_helpers(stage, package, lambda pid: read("/proc/%d/comm" % pid) == b"shoal-keeper\n")


@row("every helper process is killed at once, then a worker")
def helpers_killed(stage, package):
    return kill_helpers(stage, package, lambda pid: True)


@row("every process but the main one is killed at once")
def all_children_killed(stage, package):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    handles = [pool.submit(tasks.nap, 0.3) for _ in ITEMS]
    time.sleep(0.1)
    for pid in stage.workers() + stage.helpers():
        os.kill(pid, signal.SIGKILL)
    lost = 0
    for handle in handles:
        try:
            handle.get(None)
        except Exception:
            lost += 1
    outcome = "ok" if lost <= WORKERS else "%d lost" % lost
    outcome += lives(stage, pool)
    end(pool)
    return outcome


@row("a worker is stopped for a while (SIGSTOP)")
def worker_stopped(stage, package):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    handles = [pool.submit(tasks.pause_and_square, i) for i in range(100)]
    stopped = stage.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    time.sleep(1)
    begun = [pool.submit(tasks.square, i) for i in range(20)]
    os.kill(stopped, signal.SIGCONT)
    values = [handle.get(None) for handle in handles + begun]
    outcome = "ok" if values == [i * i for i in range(100)] + [i * i for i in range(20)] else "wrong"
    outcome += lives(stage, pool)
    end(pool)
    return outcome

"""Rows about queues, locks and the other objects that processes share, whose users are killed."""
import functools
import os
import queue
import signal
import time

from packages import Unavailable
from stage import row

ROUNDS = 20


def start(package, function, *arguments):
    process = package.objects.Process(target=function, args=arguments)
    process.start()
    return process


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def await_said(channel, what="ready"):
    """Wait for a word from a child, over a pipe of the system's own, so that no package's queue stands in between."""
    word = os.read(channel, 64).decode()
    assert word == what, word


def say(channel, what="ready"):
    os.write(channel, what.encode())


def pause():
    """For ever."""
    time.sleep(600)


# --- queues ---

def put_on_and_on(q, channel, message):
    say(channel)
    while True:
        q.put(message)


def get_on_and_on(q, channel):
    say(channel)
    while True:
        q.get()


def goes_on(q, message):
    """Whether a queue still carries: what is left in it, and then a message of one's own."""
    q.put("token")
    while True:
        got = q.get(timeout=5)
        if got == "token":
            return True
        if got != message:
            return False


def kill_user(stage, package, size, function):
    """A putter, or a getter, is killed in a tight loop, again and again: the queue carries what others put."""
    q, message = package.objects.Queue(20), os.urandom(size)
    read, write = os.pipe()
    arguments = (write, message) if function is put_on_and_on else (write,)
    for round_ in range(ROUNDS):
        victim = start(package, function, q, *arguments)
        await_said(read)
        count = 2 + round_ * 7 % 30
        try:
            for _ in range(count):
                if function is get_on_and_on:
                    q.put(message, timeout=5)
                elif q.get(timeout=5) != message:
                    return "torn"
            kill(victim)
            while q.full():
                q.get(timeout=5)
            if not goes_on(q, message):
                return "torn"
        except (queue.Empty, queue.Full):
            return "hang"
    return "ok"


for size, words in [(64, "64 B"), (4096, "4 KB"), (300 << 10, "300 KB")]:
    for function, who in [(put_on_and_on, "putter"), (get_on_and_on, "getter")]:
        row("a %s is killed in a tight loop, %s" % (who, words), name="%s_killed_%d" % (who, size))(
            functools.partial(kill_user, size=size, function=function))


# --- locks and semaphores ---

def acquire_and_die(lock, times):
    for _ in range(times):
        lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
    pause()


def after_the_holder(package, lock, times):
    start(package, acquire_and_die, lock, times).join()
    if not lock.acquire(timeout=5):
        return "hang"
    told = getattr(lock, "owner_died", None)
    lock.release()
    if not (lock.acquire(timeout=5) and lock.release() is None):
        return "hang"
    return "ok" if told else "not told"


@row("the holder of a lock is killed: the next gets it, and is told")
def lock_holder_killed(stage, package):
    return after_the_holder(package, package.objects.Lock(), 1)


@row("the holder of a recursive lock is killed: the next gets it, and is told")
def recursive_lock_holder_killed(stage, package):
    return after_the_holder(package, package.objects.RLock(), 3)


@row("the holder of an owned semaphore is killed: the permits come back")
def owned_semaphore_holder_killed(stage, package):
    if not package.is_shoal:
        raise Unavailable("semaphores have no owners")
    semaphore = package.objects.Semaphore(2, owned=True)
    start(package, acquire_and_die, semaphore, 2).join()
    if not (semaphore.acquire(timeout=5) and semaphore.acquire(timeout=5)):
        return "hang"
    semaphore.release()
    semaphore.release()
    return "ok" if semaphore.get_value() == 2 else "wrong"


@row("the holder of a plain semaphore is killed: the count stays, and a permit given wakes")
def plain_semaphore_holder_killed(stage, package):
    semaphore = package.objects.Semaphore(2)
    start(package, acquire_and_die, semaphore, 2).join()
    if semaphore.acquire(block=False) or semaphore.get_value() != 0:
        return "wrong"
    semaphore.release()
    return "ok" if semaphore.acquire(timeout=5) else "hang"


# --- conditions and barriers ---

def wait_for_notification(condition, channel):
    with condition:
        say(channel)
        condition.wait()
    say(channel, "woken")
    pause()


def notify_and_die(condition, channel):
    with condition:
        condition.notify()
        os.kill(os.getpid(), signal.SIGKILL)
        pause()


def is_said(channel, what="woken", seconds=5):
    """Whether a child says this in time."""
    os.set_blocking(channel, False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return os.read(channel, 64).decode() == what
        except BlockingIOError:
            time.sleep(0.01)
    return False


def start_waiting(package, condition, channels):
    waiter = start(package, wait_for_notification, condition, channels[1])
    await_said(channels[0])
    with condition:  # it has let go of the lock, so it waits
        pass
    return waiter


@row("one of two that wait for a condition is killed: a notification wakes the other")
def condition_waiter_killed(stage, package):
    condition, first, second = package.objects.Condition(), os.pipe(), os.pipe()
    victim = start_waiting(package, condition, first)
    survivor = start_waiting(package, condition, second)
    kill(victim)
    with condition:
        condition.notify()
    outcome = "ok" if is_said(second[0]) else "hang"
    kill(survivor)
    return outcome


@row("who notified a condition is killed while it holds the lock: the waiter wakes")
def condition_notifier_killed(stage, package):
    condition, channels = package.objects.Condition(), os.pipe()
    survivor = start_waiting(package, condition, channels)
    start(package, notify_and_die, condition, channels[1]).join()
    outcome = "ok" if is_said(channels[0]) else "hang"
    kill(survivor)
    return outcome


def wait_at_barrier(barrier, channel):
    from threading import BrokenBarrierError
    say(channel)
    try:
        barrier.wait()
    except BrokenBarrierError:
        say(channel, "broken")
    pause()


@row("one of three at a barrier is killed: the others get BrokenBarrierError")
def barrier_party_killed(stage, package):
    barrier, first, second = package.objects.Barrier(3), os.pipe(), os.pipe()
    victim = start(package, wait_at_barrier, barrier, first[1])
    survivor = start(package, wait_at_barrier, barrier, second[1])
    await_said(first[0])
    await_said(second[0])
    if not stage.until(lambda: barrier.n_waiting == 2):
        return "wrong"
    kill(victim)
    outcome = "ok" if is_said(second[0], "broken") and barrier.broken else "hang"
    kill(survivor)
    return outcome


# --- managers ---

@row("a manager's server is killed: its objects raise errors, nothing hangs")
def manager_server_killed(stage, package):
    manager = package.objects.Manager()
    shared, q = manager.dict(), manager.Queue()
    shared["a"] = 1
    q.put(1)
    assert (shared["a"], q.get()) == (1, 1)
    server = getattr(manager, "_process", None)
    if server is None:
        raise Unavailable("there is no server")
    os.kill(server.pid, signal.SIGKILL)
    server.join()
    for use in (lambda: shared["a"], lambda: q.put(2) or q.get(timeout=5)):
        try:
            if use() not in (1, 2):
                return "wrong"
        except (EOFError, OSError, ConnectionError):
            pass
    return "ok"

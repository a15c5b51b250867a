"""What the scenarios have workers do: a module, so that every way to start a worker finds it."""
import ctypes
import os
import resource
import signal
import sys
import time

BAD = 3  # of the items 0 to 7


def mark(item):
    """Note that an item's task came to its end."""
    with open(os.path.join(os.environ["MATRIX_MARKS"], "%s-%d" % (item, os.getpid())), "w"):
        pass


def square(item):
    return item * item


def nap(seconds):
    time.sleep(seconds)
    return seconds


def pause_and_square(item):
    time.sleep(0.005)
    return item * item


def own_pid(item):
    return os.getpid()


def announce_and_nap(item):
    mark(item)
    time.sleep(60)


def _killed():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until the signal has come


def _segfaulted():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # some packages write a report first
    ctypes.string_at(0)


def _exited():
    os._exit(7)


def _sys_exited():
    sys.exit(7)


class CannotBePickled:
    def __reduce__(self):
        raise TypeError("this cannot be pickled")


def refuse():
    raise ValueError("this cannot be unpickled")


class CannotBeUnpickled:
    def __reduce__(self):
        return refuse, ()


class ErrorThatCannotBePickled(Exception):
    def __reduce__(self):
        raise TypeError("this cannot be pickled")


class ErrorThatCannotBeUnpickled(Exception):
    """As many people write them: the arguments that pickle keeps are not those of __init__."""

    def __init__(self, item, what):
        super().__init__("%s: %s" % (item, what))


def _raised_unpicklable():
    raise ErrorThatCannotBePickled()


def _raised_ununpicklable():
    raise ErrorThatCannotBeUnpickled(BAD, "bad")


def _out_of_memory():
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), hard))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _task(what):
    """A task that fails in this way for the bad item, and squares the others."""
    def task(item):
        if item == BAD:
            result = what()
            mark(item)
            return result
        mark(item)
        return item * item
    return task


def _named(name, what):
    task = _task(what)
    task.__name__ = task.__qualname__ = name
    return task


killed = _named("killed", _killed)
segfaulted = _named("segfaulted", _segfaulted)
exited = _named("exited", _exited)
sys_exited = _named("sys_exited", _sys_exited)
raised_unpicklable = _named("raised_unpicklable", _raised_unpicklable)
raised_ununpicklable = _named("raised_ununpicklable", _raised_ununpicklable)
returned_unpicklable = _named("returned_unpicklable", CannotBePickled)
returned_ununpicklable = _named("returned_ununpicklable", CannotBeUnpickled)
out_of_memory = _named("out_of_memory", _out_of_memory)


def take(item):
    """For items that are no numbers: what arrives is marked."""
    mark(item)
    return item * item


def print_and_square(item):
    print("item", item, flush=True)
    return item * item

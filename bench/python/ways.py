"""ways.py - what the measurements share: contestants by name, CPUs to run on, clocks, and the work of the pools."""
import importlib
import os
import statistics
import struct
import time

from isolate import Missing

MULTIPROCESSING = ("multiprocessing", "shoal", "billiard")  # those with multiprocessing's API
_cpus = [0, 0]


def _core_of(cpu):
    try:
        with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_id", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return cpu


def choose_cpus():
    """The first CPU that may be used, and the next that does not share its core, where there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    others = [cpu for cpu in allowed if _core_of(cpu) != _core_of(allowed[0])] or allowed[1:] or allowed
    _cpus[:] = [allowed[0], others[0]]
    return list(_cpus)


def pin(index):
    """Run on the first or the second CPU."""
    os.sched_setaffinity(0, {_cpus[index]})


def context(name):
    """The contestant's context for children by fork."""
    module = importlib.import_module(name)
    return module.get_context("fork")


def own(name, thing):
    """The thing; Missing where shoal hands out another package's."""
    if name == "shoal" and not any(cls.__module__.startswith("shoal") for cls in type(thing).__mro__):
        raise Missing(f"shoal has no {type(thing).__name__} of its own yet")
    return thing


class Channel:
    """Times that one process tells another: a bare pipe, beside what is measured."""

    def __init__(self):
        self.reading, self.writing = os.pipe()

    def tell(self, seconds=0.0):
        os.write(self.writing, struct.pack("d", seconds))

    def hear(self):
        return struct.unpack("d", os.read(self.reading, 8))[0]


def median_call(call, window, least=3, batch=1):
    """Seconds a call takes: the median over the batches of a window's time."""
    times, end = [], time.perf_counter() + window
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(batch):
            call()
        times.append((time.perf_counter() - begin) / batch)
    return statistics.median(times)


def finish(process):
    """Join what should have ended."""
    process.join(10)
    if process.exitcode != 0:
        raise RuntimeError(f"a child ended with {process.exitcode}")


# The work of the pools' tasks: found under its module's name by those who start their workers afresh.
def nothing(item):
    return item


def identity(item):
    return item

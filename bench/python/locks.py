"""locks.py - what is measured of locks and shared values. All return seconds."""
import time

from ways import Channel, context, finish, median_call, own, pin


def _pairs(lock, count=1000):
    for _ in range(count):
        lock.acquire()
        lock.release()


def alone(name, window):
    """An acquire and a release that nobody else is in the way of."""
    pin(0)
    lock = own(name, context(name).Lock())
    return median_call(lambda: _pairs(lock), window) / 1000


def contended(name, window):
    """The same by two processes at once, on a CPU each: time by pairs of both."""
    there, channel = context(name), Channel()
    lock, stop = own(name, there.Lock()), there.RawValue("b", 0)

    def work(index):
        pin(index)
        count = 0
        while not stop.value:
            _pairs(lock, 100)
            count += 100
        return count

    def child():
        channel.tell()
        channel.tell(work(1))

    process = there.Process(target=child)
    process.start()
    channel.hear()
    begin, end = time.perf_counter(), time.perf_counter() + window
    pin(0)
    count = 0
    while time.perf_counter() < end:
        _pairs(lock, 100)
        count += 100
    stop.value = 1
    count += channel.hear()
    seconds = time.perf_counter() - begin
    finish(process)
    return seconds / count


def value(name, window):
    """value += 1 under the value's own lock."""
    pin(0)
    shared = context(name).Value("i", 0)

    def add():
        for _ in range(200):
            with shared.get_lock():
                shared.value += 1

    add()
    return median_call(add, window) / 200

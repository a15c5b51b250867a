"""messages.py - what is measured of queues and pipes. All return seconds."""
import statistics
import time

from ways import Channel, context, finish, median_call, own, pin


def an_int(number):
    return number & 1023


def a_tuple(number):
    return number, "name", 0.5


def some_bytes(size):
    data = b"z" * size
    return lambda number: data


def an_array(size):
    import numpy
    array = numpy.arange(size // 8, dtype=numpy.int64)
    return lambda number: array


def _size(item):
    return item.nbytes if hasattr(item, "nbytes") else len(item)


# How a contestant's queue is made: a function of its context.
def queue(name, maxsize=0):
    return own(name, context(name).Queue(maxsize))


def simple_queue(name):
    return own(name, context(name).SimpleQueue())


def manager_queue(name):
    manager = context(name).Manager()
    queue = own(name, manager.Queue())
    queue.manager = manager  # which lives as long
    return queue


def faster_fifo(name, bytes_in_it=64 << 20):
    import faster_fifo
    return faster_fifo.Queue(max_size_bytes=bytes_in_it)


def _process(name, target):
    """A process of the contestant's, where it has its own."""
    if name == "faster-fifo":
        name = "multiprocessing"
    return context(name).Process(target=target)


def rate(name, make, item, count):
    """A message from one producer to one consumer, each on a CPU of its own, count of them in a row."""
    there, channel, make_item, warm = make(name), Channel(), item(), max(count // 20, 3)
    items = [make_item(number) for number in range(min(count, 1000))]

    def consume():
        pin(1)
        for _ in range(warm):
            there.get()
        channel.tell()
        for _ in range(count):
            there.get()
        channel.tell(time.perf_counter())

    consumer = _process(name, consume)
    consumer.start()
    pin(0)
    for number in range(warm):
        there.put(items[number % len(items)])
    channel.hear()
    put, many = there.put, len(items)
    begin = time.perf_counter()
    for number in range(count):
        put(items[number % many])
    end = channel.hear()
    finish(consumer)
    return (end - begin) / count


def large(name, make, item, count):
    """A large message until its receiver has it, one at a time: the median."""
    there, channel, message = make(name), Channel(), item()(0)
    size, times = _size(message), []

    def consume():
        pin(1)
        for _ in range(count):
            got = there.get()
            channel.tell(time.perf_counter())
            if _size(got) != size or got[-1] != message[-1]:
                raise RuntimeError("not what was sent")

    consumer = _process(name, consume)
    consumer.start()
    pin(0)
    for _ in range(count):
        begin = time.perf_counter()
        there.put(message)
        times.append(channel.hear() - begin)
    finish(consumer)
    return statistics.median(times[1:])  # the first one is about memory that was never touched


def round_trip(name, make, together, window):
    """A small message there and an answer back; both processes on one CPU, or on one each."""
    there, back = make(name), make(name)

    def answer():
        pin(0 if together else 1)
        while (item := there.get()) is not None:
            back.put(item)

    child = _process(name, answer)
    child.start()
    pin(0)

    def turn():
        there.put(1)
        back.get()

    for _ in range(50):
        turn()
    seconds = median_call(turn, window, batch=20)
    there.put(None)
    finish(child)
    return seconds


def put_get(name, make, window):
    """A put and a get in one process."""
    there = make(name)

    def turn():
        there.put(1)
        there.get()

    turn()
    return median_call(turn, window, batch=20)


class _PipeQueue:
    """A one-way pipe with a queue's methods."""

    def __init__(self, name):
        reading, writing = context(name).Pipe(False)
        own(name, reading)
        self.get, self.put = reading.recv, writing.send


def pipe(name):
    return _PipeQueue(name)

"""rows.py - what is measured: each row's name, targets, and the contestants that can do it."""
import collections
import functools

import locks
import messages
import pools
from ways import MULTIPROCESSING

Row = collections.namedtuple("Row", "group name target stretch baseline ours ways")

MIB = 1 << 20
WINDOW = 0.15  # seconds
COUNTS = {"shoal": 200_000, "faster-fifo": 50_000}


def row(group, name, target, stretch, ways, baseline="multiprocessing", ours="shoal"):
    """target, stretch: how many times as fast as the baseline; None where there is none. ways: contestant to call."""
    return Row(group, name, target, stretch, baseline, ours, ways)


def by(measure, names, *arguments, **more):
    """The same measurement for several contestants."""
    return {name: functools.partial(measure, name, *arguments, **more) for name in names}


def small_messages(make, item, names=MULTIPROCESSING):
    return {name: functools.partial(messages.rate, name, make, item, COUNTS.get(name, 20_000)) for name in names}


def pool(measure, *arguments, peers=(), **more):
    kinds = {"multiprocessing": pools.Pool, "shoal": pools.Pool, "billiard": pools.Pool}
    kinds.update((kind.__name__.lower(), kind) for kind in peers)
    return {name: functools.partial(measure, name, kind, *arguments, **more) for name, kind in kinds.items()}


def executor(measure, *arguments, **more):
    names = ("concurrent.futures", "shoal.futures", "loky")
    return {name: functools.partial(measure, name, pools.Executor, *arguments, **more) for name in names}


def bounded(count):
    return functools.partial(messages.queue, maxsize=count)


def fifo(measure, *arguments, **more):
    return {"faster-fifo": functools.partial(measure, "faster-fifo", messages.faster_fifo, *arguments, **more)}


ROWS = [
    row("Queue, 1 producer and 1 consumer", "small ints", 30, 64, {
        **small_messages(messages.queue, lambda: messages.an_int),
        **fifo(messages.rate, lambda: messages.an_int, COUNTS["faster-fifo"])}),
    row("Queue, 1 producer and 1 consumer", "small tuples", 8, 14, {
        **small_messages(messages.queue, lambda: messages.a_tuple),
        **fifo(messages.rate, lambda: messages.a_tuple, COUNTS["faster-fifo"])}),
    row("Queue, 1 producer and 1 consumer", "1 MiB bytes", 5, 7, {
        **by(messages.rate, MULTIPROCESSING, bounded(16), lambda: messages.some_bytes(MIB), 150),
        **fifo(messages.rate, lambda: messages.some_bytes(MIB), 150)}),
    row("Queue, round trip", "asleep, on one CPU", 5, 6.6, {
        **by(messages.round_trip, MULTIPROCESSING, messages.queue, True, WINDOW),
        **fifo(messages.round_trip, True, WINDOW)}),
    row("Queue, round trip", "spinning, on two CPUs", 50, 99, {
        **by(messages.round_trip, MULTIPROCESSING, messages.queue, False, WINDOW),
        **fifo(messages.round_trip, False, WINDOW)}),
    row("Queue, large messages", "32 MB numpy array", 10, 20,
        by(messages.large, MULTIPROCESSING, bounded(2), lambda: messages.an_array(32_000_000), 8)),
    row("Queue, large messages", "100 MB bytes", 10, 20,
        by(messages.large, MULTIPROCESSING, bounded(2), lambda: messages.some_bytes(100_000_000), 6)),
    row("SimpleQueue", "small ints", None, None,
        small_messages(messages.simple_queue, lambda: messages.an_int)),
    row("SimpleQueue", "round trip, on two CPUs", None, None,
        by(messages.round_trip, MULTIPROCESSING, messages.simple_queue, False, WINDOW)),
    row("Pipe", "small ints", None, None, small_messages(messages.pipe, lambda: messages.an_int)),
    row("Pipe", "1 MiB bytes", None, None,
        by(messages.rate, MULTIPROCESSING, messages.pipe, lambda: messages.some_bytes(MIB), 150)),
    row("Pipe", "32 MB numpy array", None, None,
        by(messages.large, MULTIPROCESSING, messages.pipe, lambda: messages.an_array(32_000_000), 8)),
    row("Pipe", "round trip, on one CPU", None, None,
        by(messages.round_trip, MULTIPROCESSING, messages.pipe, True, WINDOW)),
    row("Pipe", "round trip, on two CPUs", None, None,
        by(messages.round_trip, MULTIPROCESSING, messages.pipe, False, WINDOW)),
    row("Pool.apply", "round trip asleep, on one CPU", 15, 24,
        pool(pools.round_trip, True, WINDOW, peers=[pools.Pebble])),
    row("Pool.apply", "round trip spinning, on two CPUs", 40, 81,
        pool(pools.round_trip, False, WINDOW, peers=[pools.Pebble, pools.Mpire])),
    row("Pool.apply", "16 MB bytes, there and back", 8, 15,
        pool(pools.large, lambda: messages.some_bytes(16_000_000), WINDOW, peers=[pools.Pebble])),
    row("Pool.apply", "32 MB numpy array, there and back", 8, 15,
        pool(pools.large, lambda: messages.an_array(32_000_000), WINDOW, peers=[pools.Pebble])),
    row("Pool of two, many tasks", "map, chunksize 1", 10, 25,
        pool(pools.each, pools.map_in_ones, 3000, peers=[pools.Pebble, pools.Mpire, pools.Joblib])),
    row("Pool of two, many tasks", "imap_unordered", 10, 25,
        pool(pools.each, pools.unordered, 3000, peers=[pools.Mpire])),
    row("Pool of two, many tasks", "10,000 apply_async and get", 10, 25,
        pool(pools.each, pools.submit_and_get, 10_000, peers=[pools.Pebble])),
    row("Pool of two, many tasks", "map, default chunks, 1,000,000 items", 2, 3,
        pool(pools.each, pools.map_in_chunks, 1_000_000)),
    row("Manager().Queue()", "put and get", 30, 100,
        by(messages.put_get, MULTIPROCESSING, messages.manager_queue, WINDOW)),
    row("Lock, Value", "Lock, alone", 1, None, by(locks.alone, MULTIPROCESSING, WINDOW)),
    row("Lock, Value", "Lock, by two processes", 1, None, by(locks.contended, MULTIPROCESSING, WINDOW)),
    row("Lock, Value", "Value += 1 under its lock", 2, 10, by(locks.value, MULTIPROCESSING, WINDOW)),
    row("Starting and ending", "Pool(2), map of 4, close, join", 1, 2, pool(pools.open_and_close, WINDOW)),
    row("Starting and ending", "Process, start and join", 1, 2, by(pools.start_and_join, MULTIPROCESSING, WINDOW)),
    row("ProcessPoolExecutor", "submit().result()", 15, 80,
        executor(pools.round_trip, False, WINDOW), "concurrent.futures", "shoal.futures"),
    row("ProcessPoolExecutor", "map, chunksize 1", 40, 110,
        executor(pools.each, pools.map_in_ones, 2000), "concurrent.futures", "shoal.futures"),
]

"""Values and arrays in shared memory: between processes, in messages, and under their locks."""

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import threading

import pytest
import shoal
from shoal import sharedctypes


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def change(value, array, text, point, raw):
    value.value += 1
    array[0] = 10
    array[2:] = [30, 40]
    text.value = b"sea"
    point.x = 7
    raw.y = 2.5


def test_what_a_child_writes_is_seen(context):
    value, array = context.Value("i", 41), context.Array("d", [1, 2, 3, 4])
    text, point = context.Array("c", b"shoal"), context.Value(Point, 1, 2)
    raw = context.RawValue(Point, 0, 0)
    process = context.Process(target=change, args=(value, array, text, point, raw))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert value.value == 42 and array[:] == [10, 2, 30, 40] and list(array) == array.get_obj()[:]
    assert text.value == b"sea" and text.raw == b"sea\0l" and len(text) == 5
    assert (point.x, point.y, raw.y) == (7, 2, 2.5)


def send_back(inbox, outbox):
    value, raw = inbox.get()
    with value.get_lock():
        value.value += raw[0]
    raw[1] = 5
    outbox.put(value)


def test_values_travel_in_messages(context):
    inbox, outbox = context.SimpleQueue(), context.SimpleQueue()
    process = context.Process(target=send_back, args=(inbox, outbox))
    process.start()
    value, raw = context.Value("i", 1), context.RawArray("i", [2, 0])
    inbox.put((value, raw))
    assert outbox.get().value == 3 and value.value == 3 and raw[:] == [2, 5]
    process.join(30)


def add(value, times):
    for _ in range(times):
        with value.get_lock():
            value.value += 1


@pytest.mark.parametrize("lock", ["its own", "given", "the standard library's"])
def test_counting_is_exact(context, lock):
    standard = multiprocessing.get_context(context.get_start_method())
    locks = {"its own": lambda: True, "given": context.RLock, "the standard library's": standard.RLock}
    value = context.Value("i", 0, lock=locks[lock]())
    processes = [context.Process(target=add, args=(value, 2000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(50)
    assert value.value == 6000


@pytest.mark.parametrize("make", [shoal.Lock, shoal.RLock, threading.Lock, multiprocessing.Lock])
def test_any_lock_is_held_at_each_access(make):
    lock = make()
    value, array = shoal.Value("i", 1, lock=lock), shoal.Array("i", 3, lock=lock)
    assert value.get_lock() is lock and array.get_lock() is lock
    value.value, array[0] = 5, 6  # each gives it back
    assert value.value == 5 and array[0] == 6 and array[0:2] == [6, 0]
    with pytest.raises(TypeError):
        value.value = "no number"
    with pytest.raises(IndexError):
        array[3]
    assert lock.acquire(False)
    lock.release()


class CountedLock(type(shoal.RLock())):
    acquired = 0

    def acquire(self, *args):
        self.acquired += 1
        return super().acquire(*args)


def test_lock_with_methods_of_its_own_has_them_called():
    value = shoal.Value("i", 0, lock=CountedLock())
    value.value = 2
    assert value.value == 2 and value.get_lock().acquired == 2


def test_access_waits_for_the_lock():
    value, seen = shoal.Value("i", 1), []
    reader = threading.Thread(target=lambda: seen.append(value.value))
    with value.get_lock():
        reader.start()
        reader.join(0.1)
        assert reader.is_alive()
        value.value = 2
    reader.join(30)
    assert seen == [2]


def die_in_the_middle(value):
    value.acquire()
    value.value = 13
    os.kill(os.getpid(), signal.SIGKILL)


def test_value_of_a_dead_writer_is_read_and_its_lock_tells(context):
    value = context.Value("i", 0)
    process = context.Process(target=die_in_the_middle, args=(value,))
    process.start()
    process.join(30)
    with value:
        assert value.value == 13
        assert value.get_lock().owner_died
    with value:
        assert value.value == 13
        assert not value.get_lock().owner_died


def test_lock_that_is_none_is_refused():
    with pytest.raises(AttributeError, match="has no method 'acquire'"):
        shoal.Value("i", 0, lock="x")
    with pytest.raises(AttributeError):
        shoal.Array("i", 2, lock=5)
    assert not hasattr(shoal.Value("i", 0, lock=False), "get_lock")
    with pytest.raises(AssertionError):
        sharedctypes.synchronized(shoal.Value("i"))


def test_copy_has_memory_of_its_own():
    original = shoal.RawArray("i", [1, 2])
    other = sharedctypes.copy(original)
    other[0] = 9
    assert original[:] == [1, 2] and other[:] == [9, 2]
    point = sharedctypes.copy(shoal.RawValue(Point, 3, 4))
    assert (point.x, point.y) == (3, 4)


def test_wrappers_are_kinds_of_the_standard_ones():
    assert isinstance(shoal.Value("i"), multiprocessing.sharedctypes.Synchronized)
    assert isinstance(shoal.Array("c", 3), multiprocessing.sharedctypes.SynchronizedString)
    assert repr(shoal.Value("i", 4)) == "<Synchronized wrapper for c_int(4)>"
    assert type(shoal.Value(Point)).__name__ == "SynchronizedPoint"


def test_memory_begins_as_zeros_and_goes_with_its_last_user():
    for _ in range(40):  # 64 MiB each: more than there is, were they not given back
        array = shoal.RawArray("B", 64 << 20)
        assert array[0] == array[-1] == 0
        array[0] = array[-1] = 1
        del array
        gc.collect()


def test_too_large_an_array_is_an_error_at_once():
    with pytest.raises((MemoryError, OverflowError)):
        shoal.RawArray("d", 1 << 50)
    with pytest.raises(ValueError):
        shoal.RawArray("i", -1)
    assert shoal.Array("i", 0)[:] == []


def test_plain_ctypes_objects_travel_by_value():
    shoal.Value("i")
    queue = shoal.Queue()
    queue.put(ctypes.c_int(5))
    assert queue.get(timeout=10).value == 5


def test_standard_and_own_values_do_not_disturb_each_other():
    standard = multiprocessing.get_context("spawn")
    own, theirs = shoal.Value("l", 1), standard.Value("l", 2)
    later = shoal.RawValue("l", 3)
    assert pickle.loads(pickle.dumps(own)).value == 1
    with pytest.raises(RuntimeError, match="inheritance"):
        pickle.dumps(theirs)
    process = standard.Process(target=add, args=(theirs, 5))
    process.start()
    process.join(30)
    assert theirs.value == 7 and later.value == 3


def make_value(box, arrived):
    value = shoal.Value("i", 17)
    box.put(value)
    arrived.wait(30)


def test_value_outlives_the_process_that_made_it(context):
    box, arrived = context.SimpleQueue(), context.Event()
    process = context.Process(target=make_value, args=(box, arrived))
    process.start()
    value = box.get()
    arrived.set()
    process.join(30)
    assert value.value == 17


def test_child_of_a_plain_fork_has_what_its_parent_drops_at_once():
    for _ in range(100):  # more than there are places that are kept
        value, seen = shoal.Value("i", 5), shoal.SimpleQueue()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                seen.put(value.value)
                code = 0
            finally:
                os._exit(code)
        del value
        other = [shoal.Value("i", 6) for _ in range(3)]  # where it was, were it gone
        assert seen.get() == 5 and len(other) == 3
        assert os.waitpid(pid, 0)[1] == 0

"""Python's memory that runs out, at each allocation; messages and frames of arbitrary bytes."""

import pickle
import pickletools
import random
import struct

import pytest

import shoal

pytest.importorskip("_testcapi")

# Lets the n-th allocation of an operation fail, for each n.
SWEEP = """
import _testcapi
import shoal

MOST = 120  # allocations of an operation; those beyond its last fail in nobody

def try_each(operate, check):
    failed = 0
    for n in range(MOST):
        outcome = "succeeded"
        _testcapi.set_nomemory(n, n + 1)
        try:
            operate()
        except MemoryError:
            outcome = "failed"
        finally:
            _testcapi.remove_mem_hooks()
        failed += outcome == "failed"
        check(outcome)
    return failed

def sweep(operate, check=lambda outcome: None):
    operate(), check("succeeded")
    for turn in range(3):
        failed = try_each(operate, check)
    operate(), check("succeeded")
    print(failed)
"""

OPERATIONS = {
    "put": """
def operate():
    queue.put_nowait(value)
def check(outcome):
    assert queue.qsize() == (outcome == "succeeded"), (outcome, queue.qsize())
    if outcome == "succeeded":
        assert queue.get_nowait() == value
""",
    "get": """
queue.put(value)
def operate():
    assert queue.get_nowait() == value
def check(outcome):
    if queue.qsize() == 0:  # it was taken, though it could not be read
        queue.put(value)
""",
    "connection": """
def operate():
    first.send(value)
    assert second.recv() == value
def check(outcome):
    while second.poll():
        try:
            second.recv()
        except MemoryError:
            pass
""",
}


@pytest.mark.parametrize("value", ["(1, 'two', b'three', 4.0)", "b'x' * 300000", "'y' * 5000", "[{'a': {1}}, [2] * 50]",
                                   "bytearray(200000)"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_message_that_finds_no_memory_is_an_error_and_nothing_is_lost(run, operation, value, monkeypatch):
    monkeypatch.setenv("SHOAL_ARENA_LIMIT", "32M")  # so that blocks of the arena that leak are missed
    setup = f"queue = shoal.Queue()\nfirst, second = shoal.Pipe()\nvalue = {value}\n"
    failed = int(run(SWEEP + setup + OPERATIONS[operation] + "sweep(operate, check)")[0])
    assert failed > 0 or operation == "put" and "{" not in value  # what is no pickle is put without memory of Python's


@pytest.mark.parametrize("operation", [
    "shoal.Lock()", "shoal.RLock()", "shoal.Semaphore(2)", "shoal.Event()", "shoal.Condition()", "shoal.Barrier(2)",
    "shoal.Queue(3)", "shoal.JoinableQueue()", "shoal.SimpleQueue()", "[end.close() for end in Pipe()]",
    "repr(lock)", "lock.acquire(), lock.release()", "semaphore.acquire(False), semaphore.release()",
    "event.set(), event.wait(0), event.clear()", "queue.qsize(), queue.empty(), queue.full()"])
def test_operation_that_finds_no_memory_is_an_error_and_works_afterwards(run, operation):
    program = SWEEP + f"""
from shoal.connection import Pipe
lock, semaphore, event, queue = shoal.Lock(), shoal.Semaphore(2), shoal.Event(), shoal.Queue()
def operate():
    {operation}
def check(outcome):
    if outcome == "failed":
        try:
            lock.release()
        except (ValueError, AssertionError, RuntimeError):
            pass
        while semaphore.get_value() < 2:
            semaphore.release()
"""
    failed = int(run(program + "sweep(operate, check)")[0])
    assert failed > 0 or "shoal." not in operation and "Pipe" not in operation  # what makes nothing may need nothing


def damage(random_, data):
    """Some bytes changed, cut off, put in or repeated."""
    data = bytearray(data)
    for _ in range(random_.randrange(1, 4)):
        at = random_.randrange(len(data) + 1)
        how = random_.randrange(5)
        if how == 0 and at < len(data):
            data[at] = random_.choice([0, 1, 0x7f, 0x80, 0xff, random_.randrange(256)])
        elif how == 1:
            del data[at:at + random_.randrange(1, 20)]
        elif how == 2:
            data[at:at] = random_.randbytes(random_.randrange(1, 9))
        elif how == 3:
            data[at:at + 8] = struct.pack("<Q", random_.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 100, 5000]))
        else:
            data += data[:random_.randrange(40)]
    return bytes(data)


# What calls, and what asks for memory by an index: in a pickle that is Python's to do.
BEYOND = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1", "EXT2", "EXT4",
          "PERSID", "BINPERSID", "PUT", "LONG_BINPUT", "LONG4"}


def is_harmless(data):
    """Whether unpickling these bytes does nothing of that."""
    try:
        return BEYOND.isdisjoint(opcode.name for opcode, _, _ in pickletools.genops(data))
    except Exception:  # it cannot be read to its end: pickle may get further, so none of those bytes may be in it
        return not any(byte in data for byte in b"ciobprPQR\x81\x82\x83\x84\x8b\x92\x93")


SEEDS = [(1, "two", b"three", 4.0, None, True, (5, (6,)), 2**40), "z" * 300, b"q" * 2000, "é" * 3000, (), -1]


def test_message_of_arbitrary_bytes_is_an_object_or_an_exception():
    first, second = shoal.Pipe()
    seed = random.randrange(2**32)
    random_ = random.Random(seed)
    raw = []
    for value in SEEDS:
        first.send(value)
        raw.append(second.recv_bytes())
    tried = 0
    for _ in range(3000):
        data = damage(random_, random_.choice(raw))
        if not data or not is_harmless(data):
            continue
        tried += 1
        first.send_bytes(data)
        try:
            second.recv()
        except Exception as error:
            assert not isinstance(error, SystemError), (seed, data)
    assert tried > 500, tried
    first.send("well")
    assert second.recv() == "well"


def test_frame_of_arbitrary_bytes_is_an_object_or_an_exception():
    first, second = shoal.Pipe()
    seed = random.randrange(2**32)
    random_ = random.Random(seed)
    body = pickle.dumps([1, "two"], protocol=5)
    frame = struct.pack("<IIQQQ", 0xf5fb5eed, 2, len(body), 40000 << 1, 100 << 1 | 1) + body
    for _ in range(1000):
        head = damage(random_, frame[:32])
        first.send_bytes(head + frame[32:] + bytes(random_.choice([0, 100, 40000, 41000])))
        try:
            second.recv()
        except Exception as error:
            assert not isinstance(error, SystemError), (seed, head)
    first.send("well")
    assert second.recv() == "well"

"""Managers: what of theirs is shared by the family itself, and goes on without them; what lives in their process."""

import os
import queue
import signal
import threading

import pytest
import shoal
from shoal import managers, shared_memory

OWN = ["Queue", "JoinableQueue", "Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"]


@pytest.fixture
def manager(context):
    with context.Manager() as manager:
        yield manager


def take_and_answer(inbox, outbox):
    outbox.put(inbox.get(timeout=30) * 2)


def test_queue_connects_processes(context, manager):
    inbox, outbox = manager.Queue(), manager.Queue(1)
    process = context.Process(target=take_and_answer, args=(inbox, outbox))
    process.start()
    inbox.put("ab")
    assert outbox.get(timeout=30) == "abab"
    process.join(30)
    assert process.exitcode == 0


@pytest.mark.parametrize("name", OWN)
def test_objects_do_not_live_in_the_managers_process(name):
    with shoal.Manager() as manager:
        kept = getattr(manager, name)()
        assert not isinstance(kept, managers.BaseProxy)
        assert manager._number_of_objects() == 0
        assert repr(kept).endswith("typeid %r at %#x>" % (name, id(kept)))


def test_objects_outlive_a_killed_manager():
    manager = shoal.Manager()
    inbox, outbox, lock, event = manager.Queue(), manager.Queue(), manager.Lock(), manager.Event()
    manager._process.kill()
    manager._process.join(30)
    process = shoal.Process(target=take_and_answer, args=(inbox, outbox))
    process.start()
    with lock:
        event.set()
        inbox.put(21)
        assert outbox.get(timeout=30) == 42 and event.wait(30)
    process.join(30)
    assert process.exitcode == 0
    with pytest.raises((OSError, EOFError)):
        manager.dict()


def test_objects_outlive_a_manager_that_is_shut_down():
    with shoal.Manager() as manager:
        kept = manager.Queue()
        kept.put(1)
    assert kept.get(timeout=10) == 1
    with pytest.raises(AssertionError):
        manager.Queue()


def test_manager_that_was_not_started_makes_nothing():
    with pytest.raises(AssertionError, match="not yet started"):
        managers.SyncManager().Lock()


def answer_in(container, key):
    container[key].put("from %s" % key)


@pytest.mark.parametrize("make, key", [("list", 0), ("dict", "queue")])
def test_objects_in_a_managers_containers_are_found_by_others(context, manager, make, key):
    container = getattr(manager, make)([None] if make == "list" else {})
    container[key] = manager.Queue()  # the manager's process alone has it now
    process = context.Process(target=answer_in, args=(container, key))
    process.start()
    assert container[key].get(timeout=30) == "from %s" % key
    process.join(30)


def test_object_taken_out_of_a_container_is_the_last_holders():
    with shoal.Manager() as manager:
        container = manager.list([manager.Queue()])
        last = container.pop()
        last.put(1)
        assert last.get(timeout=10) == 1 and len(container) == 0


def make_and_end(box):
    inner = shoal.Queue()
    inner.put("from the dead")
    box.put((inner, shoal.Lock(), shoal.Value("i", 3)))


def test_handle_in_a_message_outlives_its_sender(context, manager):
    box = manager.Queue()
    process = context.Process(target=make_and_end, args=(box,))
    process.start()
    process.join(30)
    inner, lock, value = box.get(timeout=30)
    assert inner.get(timeout=10) == "from the dead" and lock.acquire(timeout=10) and value.value == 3


def test_message_is_all_that_holds_an_object():
    box = shoal.Queue()
    for _ in range(3):
        box.put(shoal.Queue())
    for _ in range(3):
        box.get(timeout=10).put(1)


def test_proxy_in_a_queue_of_a_manager(context, manager):
    box, numbers = manager.Queue(), manager.list([1, 2])
    box.put(numbers)
    box.get(timeout=30).append(3)
    assert list(numbers) == [1, 2, 3]


def test_every_managed_queue_can_be_joined():
    with shoal.Manager() as manager:
        kept = manager.Queue()
        kept.put(1)
        threading.Timer(0.05, lambda: (kept.get(), kept.task_done())).start()
        kept.join()
        with pytest.raises(ValueError):
            kept.task_done()


def test_managed_queue_raises_what_pickling_raises():
    with shoal.Manager() as manager:
        kept = manager.Queue(1)
        with pytest.raises(TypeError):
            kept.put(threading.Lock())
        kept.put(1)
        with pytest.raises(queue.Full):
            kept.put(2, timeout=0.01)


def test_misuse_is_told_by_threadings_exceptions():
    with shoal.Manager() as manager:
        for name in ("Lock", "RLock"):
            with pytest.raises(RuntimeError):
                getattr(manager, name)().release()
        with pytest.raises(RuntimeError):
            manager.Condition().notify()
        with pytest.raises(ValueError):
            manager.BoundedSemaphore(1).release()
        assert manager.Lock().acquire(blocking=False)


def hold_and_say(lock, said):
    lock.acquire()
    said.set()
    signal.pause()


def test_managed_lock_of_a_dead_owner_is_taken(context, manager):
    lock, said = manager.Lock(), manager.Event()
    process = context.Process(target=hold_and_say, args=(lock, said))
    process.start()
    assert said.wait(30) and not lock.acquire(False)
    process.kill()
    assert lock.acquire(timeout=30) and lock.owner_died
    process.join(30)


def meet(barrier, box):
    box.put(barrier.wait(30))


def test_managed_barrier_and_condition(context, manager):
    barrier, box, condition = manager.Barrier(2), manager.Queue(), manager.Condition()
    process = context.Process(target=meet, args=(barrier, box))
    process.start()
    assert {barrier.wait(30), box.get(timeout=30)} == {0, 1}
    with condition:
        assert condition.wait(0.01) is False
    process.join(30)


class Counter:
    def __init__(self, start=0):
        self.value = start

    def next(self):
        self.value += 1
        return self.value


class CountingManager(managers.SyncManager):
    pass


CountingManager.register("Counter", Counter)


def test_registered_classes_live_in_the_managers_process(context):
    with CountingManager(ctx=context) as manager:
        counter = manager.Counter(5)
        assert counter.next() == 6 and manager.Counter().next() == 1
        assert isinstance(counter, managers.BaseProxy)
        assert not isinstance(manager.Queue(), managers.BaseProxy)


def test_registering_with_the_base_leaves_others_alone():
    class Base(managers.BaseManager):
        pass

    Base.register("Lonely", Counter)
    assert not hasattr(managers.SyncManager, "Lonely") and "Lonely" not in managers.BaseManager._registry
    with Base() as manager:
        assert manager.Lonely().next() == 1


def make_by_address(address, key, box):
    manager = managers.SyncManager(address=address, authkey=key)
    manager.connect()
    made = manager.Queue()
    made.put("made by a child")
    manager.dict()  # needs the manager's process, and has it
    box.put((made, isinstance(made, managers.BaseProxy)))
    box.join()


def test_connected_manager_of_the_family_makes_the_familys_objects(context, manager):
    box = manager.JoinableQueue()
    process = context.Process(target=make_by_address, args=(manager.address, bytes(manager._authkey), box))
    process.start()
    made, is_proxy = box.get(timeout=30)
    assert made.get(timeout=30) == "made by a child" and not is_proxy
    box.task_done()
    process.join(30)


STRANGER = """
import sys, threading
import shoal
from shoal.managers import BaseProxy, RemoteError, SyncManager

manager = SyncManager(address=sys.argv[1], authkey=b"key")
manager.connect()
kept, lock = manager.Queue(), manager.Lock()
print(isinstance(kept, BaseProxy), isinstance(lock, BaseProxy))
kept.put("through the server")
with lock:
    print(kept.get())
try:
    manager.list().append(shoal.Queue())
except RemoteError as e:
    print("another family" in str(e), "through inheritance" in str(e), "SyncManager" in str(e))
"""


def test_connected_manager_of_another_family_keeps_the_objects_itself(run, tmp_path):
    program = tmp_path / "stranger.py"
    program.write_text(STRANGER)
    with managers.SyncManager(address=str(tmp_path / "socket"), authkey=b"key") as manager:
        out, _ = run([program], manager.address)
    assert out.splitlines() == ["True True", "through the server", "True True True"]


def die(signum):
    os.kill(os.getpid(), signum)


def test_pool_of_a_manager_loses_what_a_dead_worker_ran_and_no_more(context, manager):
    with manager.Pool(2) as pool:
        with pytest.raises(shoal.ProcessError, match="SIGKILL"):
            pool.apply(die, (signal.SIGKILL,))
        assert pool.map(abs, [-1, -2]) == [1, 2]


def test_shared_memory_manager_gives_names_back():
    with managers.SharedMemoryManager() as manager:
        name = manager.SharedMemory(100).name
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name)

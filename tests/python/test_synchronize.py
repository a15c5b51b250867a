"""Locks, events and their kind: between processes, by their limits, and when their owner dies."""

import multiprocessing
import os
import pickle
import signal
import threading
import time

import pytest
import shoal


def hold(lock, held, release):
    with lock:
        held.set()
        release.wait(30)


@pytest.fixture(params=["Lock", "RLock"])
def kind(request):
    return request.param


def test_lock_is_held_by_one_process_at_a_time(context, kind):
    lock, held, release = getattr(context, kind)(), context.Event(), context.Event()
    process = context.Process(target=hold, args=(lock, held, release))
    process.start()
    assert held.wait(30)
    assert not lock.acquire(False)
    assert not lock.acquire(True, 0.01)
    assert not lock.acquire(timeout=-1)
    assert "SomeOtherProcess" in repr(lock)
    release.set()
    assert lock.acquire(timeout=30)
    assert not lock.owner_died
    lock.release()
    process.join(30)
    assert process.exitcode == 0


def add(lock, counter, times):
    for _ in range(times):
        with lock:
            counter.value += 1


def test_counting_under_a_lock_is_exact(context, kind):
    lock = getattr(context, kind)()
    counter = context.Value("i", 0, lock=False)
    processes = [context.Process(target=add, args=(lock, counter, 3000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(50)
    assert counter.value == 9000


def die_holding(lock):
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_lock_of_a_dead_owner_is_taken_and_says_so(context, kind):
    lock = getattr(context, kind)()
    process = context.Process(target=die_holding, args=(lock,))
    process.start()
    process.join(30)
    assert lock.acquire(timeout=10)
    assert lock.owner_died
    lock.release()
    with lock:
        assert not lock.owner_died


def test_waiter_is_woken_by_the_owners_death():
    lock = shoal.Lock()
    held = shoal.Event()
    process = shoal.Process(target=hold, args=(lock, held, shoal.Event()))
    process.start()
    assert held.wait(30)
    threading.Timer(0.1, process.kill).start()
    begin = time.monotonic()
    assert lock.acquire(timeout=20) and lock.owner_died
    assert time.monotonic() - begin < 5
    process.join(30)


def test_owner_that_died_is_told_once_to_whoever_acquires_next(context, kind):
    lock = getattr(context, kind)()
    process = context.Process(target=die_holding, args=(lock,))
    process.start()
    process.join(30)
    other = pickle.loads(pickle.dumps(lock))
    assert not lock.owner_died and not other.owner_died  # nobody has acquired it yet
    assert lock.acquire(True, 10) is True and lock.owner_died
    lock.release()
    with other:
        assert not other.owner_died and lock.owner_died


def test_lock_of_an_owner_that_ended_is_taken_from_it_too(context, kind):
    lock = getattr(context, kind)()
    process = context.Process(target=lock.acquire)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    with lock:
        assert lock.owner_died


def test_lock_may_be_released_by_another_process():
    lock = shoal.Lock()
    lock.acquire()
    process = shoal.Process(target=lock.release)
    process.start()
    process.join(30)
    assert lock.acquire(timeout=10)


def test_release_of_what_is_not_held_is_refused():
    with pytest.raises(ValueError):
        shoal.Lock().release()
    with pytest.raises(AssertionError):
        shoal.RLock().release()


def test_recursive_lock_counts():
    lock = shoal.RLock()
    for _ in range(3):
        assert lock.acquire(False)
    assert repr(lock) == "<RLock(MainProcess, 3)>"
    seen = []
    thread = threading.Thread(target=lambda: seen.append((lock.acquire(False), repr(lock))))
    thread.start()
    thread.join()
    assert seen == [(False, "<RLock(SomeOtherThread, nonzero)>")]
    for _ in range(3):
        lock.release()
    assert repr(lock) == "<RLock(None, 0)>"


def test_inner_object_tells_what_multiprocessings_tells():
    lock = shoal.RLock()
    assert (lock._semlock._is_mine(), lock._semlock._count(), lock._semlock._is_zero()) == (False, 0, False)
    lock.acquire()
    assert (lock._semlock._is_mine(), lock._semlock._count(), lock._semlock._get_value()) == (True, 1, 0)


def test_lock_waits_with_pythons_manners():
    def raise_it(*_):
        raise InterruptedError("enough")

    lock = shoal.Lock()
    lock.acquire()
    old = signal.signal(signal.SIGALRM, raise_it)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            lock.acquire()
    finally:
        signal.signal(signal.SIGALRM, old)


def test_event_wakes_all_who_wait(context):
    event, ready = context.Event(), context.Queue()
    processes = [context.Process(target=wait_and_say, args=(event, ready)) for _ in range(3)]
    for process in processes:
        process.start()
    for _ in processes:
        assert ready.get(timeout=30) == "here"
    event.set()
    assert [ready.get(timeout=30) for _ in processes] == [True] * 3
    for process in processes:
        process.join(30)
    event.clear()
    assert not event.is_set() and not event.wait(0.01)
    assert repr(event).endswith("unset>")


def wait_and_say(event, ready):
    ready.put("here")
    ready.put(event.wait(30))


@pytest.mark.parametrize("make", [shoal.Lock, shoal.RLock, shoal.Event, shoal.Queue, shoal.SimpleQueue,
                                  shoal.Semaphore, shoal.BoundedSemaphore, shoal.Condition])
def test_handles_travel_by_pickle_at_any_time(make):
    original = make()
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is type(original) and copy._ref() == original._ref()
    with pytest.raises((ValueError, RuntimeError)):
        copy.__setstate__(original.__getstate__())


STRANGER = """
import pickle, shoal
shoal.Lock()
for name, text in %r.items():
    try:
        pickle.loads(text)
    except RuntimeError as e:
        noun, why = str(e).split(" objects should only be shared ")
        print(name, noun, "what to do" if "manager by its address" in why else why)
"""


def test_strangers_are_told_why_they_get_nothing_and_what_to_do(run):
    made = {name: getattr(shoal, name)() for name in ("Lock", "RLock", "Semaphore", "Condition", "Event")}
    made.update(Barrier=shoal.Barrier(2), Value=shoal.Value("i"))
    out, _ = run(STRANGER % {name: pickle.dumps(handle) for name, handle in made.items()})
    names = dict(RLock="Lock", Condition="Lock", Value="Value and Array")  # a condition begins with its lock
    assert out.splitlines() == ["%s %s what to do" % (name, names.get(name, name)) for name in made]


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Event"])
def test_subclass_without_init_is_refused(kind):
    base = getattr(shoal.synchronize, kind)
    forgetful = type("Forgetful", (base,), {"__init__": lambda self: None})()
    call = forgetful.set if kind == "Event" else forgetful.acquire
    with pytest.raises(ValueError):
        call()


def test_semaphore_counts_its_permits(context):
    semaphore = context.Semaphore(2)
    assert semaphore.acquire() and semaphore.acquire(False) and not semaphore.acquire(True, 0.01)
    process = context.Process(target=semaphore.release)
    process.start()
    assert semaphore.acquire(timeout=30)
    process.join(30)
    assert repr(semaphore) == "<Semaphore(value=0)>" and semaphore._semlock._is_zero()
    semaphore.release()
    assert semaphore.get_value() == 1
    with pytest.raises(ValueError):
        context.Semaphore(-1)


def test_bounded_semaphore_has_a_bound():
    semaphore = shoal.BoundedSemaphore(1)
    with pytest.raises(ValueError):
        semaphore.release()
    with semaphore:
        assert repr(pickle.loads(pickle.dumps(semaphore))) == "<BoundedSemaphore(value=0, maxvalue=1)>"


def test_bounded_semaphore_without_permits_stays_so():
    for semaphore in (shoal.BoundedSemaphore(0), pickle.loads(pickle.dumps(shoal.BoundedSemaphore(0)))):
        assert not semaphore.acquire(False) and semaphore.get_value() == 0
        with pytest.raises(ValueError):
            semaphore.release()
    with pytest.raises(ValueError):
        shoal.BoundedSemaphore(-1)


def test_owned_permit_comes_back_from_the_dead():
    semaphore = shoal.synchronize.Semaphore(1, owned=True)
    process = shoal.Process(target=die_holding, args=(semaphore,))
    process.start()
    process.join(30)
    assert semaphore.acquire(timeout=10) and semaphore.owner_died


def wait_for_news(condition, news, ready):
    with condition:
        ready.release()
        news.put(condition.wait(30))


def test_condition_wakes_as_many_as_it_is_told(context):
    condition, news, ready = context.Condition(), context.Queue(), context.Semaphore(0)
    processes = [context.Process(target=wait_for_news, args=(condition, news, ready)) for _ in range(3)]
    for process in processes:
        process.start()
        assert ready.acquire(timeout=30)
    with condition:  # they wait: each had the lock, and gave it back by waiting
        assert repr(condition).endswith(", 3)>")
        condition.notify()
    assert news.get(timeout=30) is True
    with condition:
        assert condition._sleeping_count.get_value() == 2
        condition.notify_all()
    assert [news.get(timeout=30) for _ in range(2)] == [True, True]
    for process in processes:
        process.join(30)


def test_condition_without_its_lock_is_refused():
    condition = shoal.Condition(shoal.Lock())
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(AssertionError):
            call()
    with condition:
        assert condition.wait(0.01) is False
        assert condition.wait_for(lambda: 0, timeout=0.02) == 0
        assert condition.wait_for(lambda: 7) == 7


def notify_when_told(condition, told):
    told.wait(30)
    with condition:
        condition.notify_all()


@pytest.mark.parametrize("make", ["Lock", "RLock", "Semaphore"])
def test_condition_takes_the_standard_librarys_locks(context, make):
    standard = multiprocessing.get_context(context.get_start_method())
    condition, told = context.Condition(getattr(standard, make)()), context.Event()
    assert isinstance(condition, shoal.synchronize.Condition)
    process = context.Process(target=notify_when_told, args=(condition, told))
    process.start()
    with condition:
        told.set()
        assert condition.wait(30)  # it cannot be notified before it waits
        if make == "RLock":
            with condition:
                assert not condition.wait(0.01)
            assert condition._lock._semlock._count() == 1
        else:
            assert not condition._lock.acquire(False)
    assert condition._lock.acquire(False)
    condition._lock.release()
    process.join(30)
    assert process.exitcode == 0
    if make != "Semaphore":
        with pytest.raises(AssertionError):
            condition.notify()


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_condition_takes_threadings_locks_between_threads(make):
    condition, told = shoal.Condition(make()), threading.Event()
    thread = threading.Thread(target=notify_when_told, args=(condition, told))
    thread.start()
    with condition:
        told.set()
        assert condition.wait_for(lambda: True) and condition.wait(30)
    thread.join(30)
    with pytest.raises(RuntimeError):
        condition.wait(0.01)


def test_condition_refuses_what_is_no_lock():
    with pytest.raises(AttributeError):
        shoal.Condition("lock")


def test_waiter_of_a_condition_runs_signal_handlers():
    def raise_it(*_):
        raise InterruptedError("enough")

    condition = shoal.Condition()
    old = signal.signal(signal.SIGALRM, raise_it)
    try:
        with condition:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(InterruptedError):
                condition.wait(30)
            assert condition._lock._semlock._is_mine()
    finally:
        signal.signal(signal.SIGALRM, old)


def meet(barrier, numbers):
    try:
        numbers.put(barrier.wait(30))
    except threading.BrokenBarrierError:
        numbers.put("broken")


@pytest.mark.parametrize("action", [None, int], ids=["plain", "action"])
def test_parties_meet_at_a_barrier(context, action):
    barrier, numbers = context.Barrier(3, action), context.Queue()
    for _ in range(2):
        processes = [context.Process(target=meet, args=(barrier, numbers)) for _ in range(2)]
        for process in processes:
            process.start()
        got = [barrier.wait(30)] + [numbers.get(timeout=30) for _ in range(2)]
        assert sorted(got) == [0, 1, 2]
        for process in processes:
            process.join(30)


def test_party_that_dies_breaks_the_barrier():
    barrier, numbers = shoal.Barrier(3), shoal.Queue()
    processes = [shoal.Process(target=meet, args=(barrier, numbers)) for _ in range(2)]
    for process in processes:
        process.start()
    while barrier.n_waiting < 2:
        time.sleep(0.01)
    processes[0].kill()
    assert numbers.get(timeout=30) == "broken" and barrier.broken
    barrier.reset()
    assert not barrier.broken
    for process in processes:
        process.join(30)


def test_action_that_fails_breaks_the_barrier():
    barrier = shoal.Barrier(1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(1)

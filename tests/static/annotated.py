"""annotated.py - a program with types, which uses all kinds of objects: read by a type checker, never run."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from typing import List, Tuple

import shoal
from shoal import futures
from shoal.connection import Connection, wait
from shoal.managers import SyncManager
from shoal.queues import JoinableQueue, Queue, SimpleQueue
from shoal.synchronize import Lock, Semaphore


def work(numbers: "Queue[int]", results: "SimpleQueue[Tuple[int, str]]", lock: Lock) -> None:
    while True:
        number = numbers.get(timeout=1.5)
        with lock:
            results.put((number + 1, "next"))


def processes(method: str) -> List[int]:
    context = shoal.get_context(method)
    numbers: Queue[int] = context.Queue(10)
    results: SimpleQueue[Tuple[int, str]] = context.SimpleQueue()
    lock = context.Lock()
    children = [context.Process(target=work, args=(numbers, results, lock), daemon=True) for _ in range(2)]
    for child in children:
        child.start()
    numbers.put(1, timeout=0.5)
    numbers.put_nowait(2)
    number, word = results.get()
    return [number, len(word), numbers.qsize(), *(child.exitcode or 0 for child in children)]


def waiting(permits: Semaphore) -> bool:
    condition, event, barrier = shoal.Condition(), shoal.Event(), shoal.Barrier(2, timeout=1.0)
    with condition:
        condition.notify(2)
        found: bool = condition.wait_for(lambda: permits.get_value() > 0, 2.0)
    event.set()
    return found and event.wait(1) and barrier.wait() == 0 and permits.owner_died


def pipes() -> bytes:
    first, second = shoal.Pipe(duplex=False)
    second.send_bytes(b"all")
    ready: "List[Connection]" = [one for one in wait([first], 1.0) if isinstance(one, Connection)]
    return ready[0].recv_bytes()


def pools() -> int:
    with shoal.Pool(3) as pool:
        lengths: List[int] = pool.map(len, ["a", "bc"])
        later = pool.apply_async(len, ("abc",))
        return sum(lengths) + later.get(1.0) + sum(pool.imap_unordered(len, ["d"]))


def managed(manager: SyncManager) -> int:
    queue: "JoinableQueue[str]" = manager.Queue()
    queue.put("a")
    queue.task_done()
    names = manager.dict({"one": 1})
    return len(names) + queue.qsize()


def shared() -> float:
    value, array = shoal.Value("i", 1), shoal.Array("d", [1.0, 2.0])
    with value.get_lock():
        value.value += 1
    array[0] = 2.0
    return float(value.value) + float(array[1])


def executors(context: BaseContext) -> int:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        one = executor.submit(len, "abc").result(1.0)
    with futures.ProcessPoolExecutor(2, mp_context=context) as ours:
        two: int = ours.submit(len, "abc").result(1.0)
        return one + two + sum(ours.map(len, ["a", "b"], timeout=1.0))


if __name__ == "__main__":
    shoal.set_start_method("spawn")
    print(shoal.cpu_count(), shoal.current_process().name, shoal.active_children(), shoal.get_start_method())
    print(processes("fork"), pipes(), pools(), shared(), executors(shoal.get_context("spawn")))
    print(waiting(shoal.Semaphore(2)))
    with shoal.Manager() as manager:
        print(managed(manager))

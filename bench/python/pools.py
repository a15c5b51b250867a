"""pools.py - what is measured of pools, executors and processes. All return seconds."""
import functools
import time

from ways import context, identity, median_call, nothing, own, pin

WORKERS = 2


class Pool:
    """A pool with multiprocessing's API, of any contestant that has it."""

    def __init__(self, name, workers=WORKERS, cpu=None):
        arguments = {} if cpu is None else {"initializer": pin, "initargs": (cpu,)}
        self.pool = own(name, context(name).Pool(workers, **arguments))
        self.apply = functools.partial(self._apply, self.pool.apply)

    @staticmethod
    def _apply(apply, function, item):
        return apply(function, (item,))

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunk)

    def unordered(self, function, items):
        return self.pool.imap_unordered(function, items)

    def submit(self, function, item):
        return self.pool.apply_async(function, (item,)).get

    def close(self):
        self.pool.close()
        self.pool.join()


class Executor(Pool):
    """An executor with concurrent.futures' API."""

    def __init__(self, name, workers=WORKERS, cpu=None):
        arguments = {} if cpu is None else {"initializer": pin, "initargs": (cpu,)}
        if name == "loky":
            from loky import ProcessPoolExecutor
        elif name == "shoal.futures":
            from shoal.futures import ProcessPoolExecutor
        else:
            from concurrent.futures import ProcessPoolExecutor
            arguments["mp_context"] = context("multiprocessing")
        self.pool = ProcessPoolExecutor(workers, **arguments)

    def apply(self, function, item):
        return self.pool.submit(function, item).result()

    def map(self, function, items, chunk):
        return list(self.pool.map(function, items, chunksize=chunk or 1))

    def submit(self, function, item):
        return self.pool.submit(function, item).result

    def close(self):
        self.pool.shutdown()


class Pebble(Pool):
    def __init__(self, name, workers=WORKERS, cpu=None):
        import pebble
        arguments = {} if cpu is None else {"initializer": pin, "initargs": (cpu,)}
        self.pool = pebble.ProcessPool(workers, context=context("multiprocessing"), **arguments)

    def apply(self, function, item):
        return self.pool.schedule(function, (item,)).result()

    def map(self, function, items, chunk):
        return list(self.pool.map(function, items, chunksize=chunk or 1).result())

    def submit(self, function, item):
        return self.pool.schedule(function, (item,)).result


class Mpire(Pool):
    def __init__(self, name, workers=WORKERS, cpu=None):
        import mpire
        self.pool = mpire.WorkerPool(workers, start_method="fork", cpu_ids=None if cpu is None else [cpu])

    def apply(self, function, item):
        return self.pool.apply(function, (item,))

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunk_size=chunk)

    def unordered(self, function, items):
        return self.pool.imap_unordered(function, items, chunk_size=1)

    def close(self):
        self.pool.terminate()


class Joblib(Pool):
    def __init__(self, name, workers=WORKERS, cpu=None):
        import joblib
        self.pool = joblib.Parallel(workers).__enter__()
        self.delayed = joblib.delayed

    def map(self, function, items, chunk):
        self.pool.batch_size = chunk or "auto"
        return self.pool(map(self.delayed(function), items))

    def close(self):
        self.pool.__exit__(None, None, None)


def round_trip(name, kind, together, window):
    """A task's submission until its result is there; the worker on the same CPU, or on another."""
    pin(0)
    pool = kind(name, 1, 0 if together else 1)
    call = functools.partial(pool.apply, nothing, 1)
    for _ in range(30):
        call()
    seconds = median_call(call, window, batch=10)
    pool.close()
    return seconds


def large(name, kind, item, window):
    """A task that returns its large argument: there and back."""
    pool, message = kind(name), item()(0)
    call = functools.partial(pool.apply, identity, message)
    for _ in range(4):  # until no page is touched for the first time
        call()
    seconds = median_call(call, window)
    pool.close()
    return seconds


def each(name, kind, run, count):
    """Count tasks: time for each."""
    pool = kind(name)
    run(pool, max(count // 50, 10))
    begin = time.perf_counter()
    if run(pool, count) != count:
        raise RuntimeError("not as many results as tasks")
    seconds = time.perf_counter() - begin
    pool.close()
    return seconds / count


def map_in_ones(pool, count):
    return len(pool.map(nothing, range(count), 1))


def map_in_chunks(pool, count):
    return len(pool.map(nothing, range(count), None))


def unordered(pool, count):
    return sum(1 for _ in pool.unordered(nothing, range(count)))


def submit_and_get(pool, count):
    results = [pool.submit(nothing, number) for number in range(count)]
    return sum(1 for get in results if get() is not pool)


def open_and_close(name, kind, window):
    """A pool's whole life: two workers, a map of four items, close and join."""
    def live():
        pool = kind(name)
        pool.map(nothing, range(4), None)
        pool.close()

    live()
    return median_call(live, window)


def start_and_join(name, window):
    """A process that does nothing: start and join."""
    there = context(name)

    def live():
        process = there.Process(target=nothing, args=(0,))
        process.start()
        process.join()

    live()
    return median_call(live, window)

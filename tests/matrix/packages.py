"""The packages that the scenarios are tried with, each behind the same few calls."""
import importlib


class Unavailable(Exception):
    """This package has nothing that the scenario asks for."""


def one_by_one(iterator):
    """(value, None) or (None, exception) for each item: an item's exception does not end the iteration."""
    while True:
        try:
            value = next(iterator)
        except StopIteration:
            return
        except (Exception, SystemExit) as exception:
            yield None, exception
        else:
            yield value, None


class Pool:
    """A pool of multiprocessing's shape. What submit returns has get(timeout)."""

    map_cancels = False  # whether an item's exception ends a map for the others

    def __init__(self, module, workers):
        self.pool = module.Pool(workers)

    def submit(self, function, item):
        return self.pool.apply_async(function, (item,))

    def map(self, function, items):
        return self.pool.map(function, items, chunksize=1)

    def imap(self, function, items):
        return one_by_one(self.pool.imap(function, items))

    def close(self):
        self.pool.close()

    def join(self):
        self.pool.join()

    def __enter__(self):
        self.pool.__enter__()
        return self

    def __exit__(self, *exception):
        return self.pool.__exit__(*exception)


class Future:
    def __init__(self, future):
        self.get = future.result


class Executor(Pool):
    """An executor of concurrent.futures' shape."""

    map_cancels = True

    def __init__(self, module, workers):
        self.pool = module.ProcessPoolExecutor(workers)

    def submit(self, function, item):
        return Future(self.pool.submit(function, item))

    def map(self, function, items):
        return list(self.pool.map(function, items))

    def imap(self, function, items):
        raise Unavailable("an item's exception ends the iteration")

    def close(self):
        self.pool.shutdown(wait=False)

    def join(self):
        self.pool.shutdown(wait=True)


class DeadpoolExecutor(Executor):
    def __init__(self, module, workers):
        self.pool = module.Deadpool(max_workers=workers)


class PebblePool(Pool):
    """Its map goes on behind an exception."""

    def __init__(self, module, workers):
        self.pool = module.ProcessPool(max_workers=workers)

    def submit(self, function, item):
        return Future(self.pool.schedule(function, args=(item,)))

    def map(self, function, items):
        return list(self.pool.map(function, items).result())

    def imap(self, function, items):
        return one_by_one(self.pool.map(function, items).result())


class MpirePool(Pool):
    def __init__(self, module, workers):
        self.pool = module.WorkerPool(n_jobs=workers)

    def map(self, function, items):
        return self.pool.map(function, [(item,) for item in items], chunk_size=1)

    def imap(self, function, items):
        return one_by_one(self.pool.imap(function, [(item,) for item in items], chunk_size=1))

    def close(self):
        pass  # join does it

    def join(self):
        self.pool.stop_and_join()


class Package:
    """A package's pool, and its module where that has multiprocessing's names."""

    def __init__(self, name, module, pool, has_objects):
        self.name, self._module, self._pool, self._has_objects = name, module, pool, has_objects

    def open_pool(self, workers=2):
        return self._pool(importlib.import_module(self._module), workers)

    @property
    def objects(self):
        """The module with Queue, Lock, Process and so on."""
        if not self._has_objects:
            raise Unavailable("%s has pools only" % self.name)
        return importlib.import_module(self._module)

    @property
    def is_shoal(self):
        return self._module.split(".")[0] == "shoal"


PACKAGES = {package.name: package for package in [
    Package("shoal", "shoal", Pool, True),
    Package("shoal.futures", "shoal.futures", Executor, False),
    Package("multiprocessing", "multiprocessing", Pool, True),
    Package("concurrent.futures", "concurrent.futures", Executor, False),
    Package("billiard", "billiard", Pool, True),
    Package("loky", "loky", Executor, False),
    Package("pebble", "pebble", PebblePool, False),
    Package("mpire", "mpire", MpirePool, False),
    Package("deadpool", "deadpool", DeadpoolExecutor, False),
]}

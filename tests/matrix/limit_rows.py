"""Rows about limits that are reached, and about processes that others fork."""
import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import tasks
from object_rows import await_said, say, start
from packages import Unavailable
from pool_rows import ITEMS, WORKERS, collect, end, lives, warm
from stage import row

DAC_OVERRIDE, DUMPABLE, KEEP_CAPABILITIES, AMBIENT, AMBIENT_RAISE = 1, 4, 8, 47, 2
CAPABILITY_VERSION = 0x20080522


# --- memory ---

@row("the arena is full: an error of the call, and the queue goes on")
def arena_full(stage, package):
    if not package.is_shoal:
        raise Unavailable("there is no arena")
    if "SHOAL_ARENA_LIMIT" not in os.environ:
        os.environ["SHOAL_ARENA_LIMIT"] = "8M"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    q, count = package.objects.Queue(), 0
    try:
        while count < 100:
            q.put(b"x" * (1 << 20))
            count += 1
        return "no error"
    except MemoryError:
        pass
    for _ in range(count):
        assert len(q.get(timeout=5)) == 1 << 20
    q.put(b"y" * (1 << 20))
    return "ok" if q.get(timeout=5)[:1] == b"y" and q.empty() else "wrong"


def make_large(size):
    return bytes(size)


@row("the memory limit is reached in the main process: MemoryError there, and the pool goes on")
def main_out_of_memory(stage, package):
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20), hard))
    try:
        pool.submit(make_large, 256 << 20).get(15)
        outcome = "no error"
    except MemoryError:
        outcome = "ok"
    except Exception as exception:
        outcome = "hang" if "imeout" in type(exception).__name__ else "broken: " + type(exception).__name__
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    if outcome == "hang":
        return outcome
    outcome += lives(stage, pool)
    end(pool)
    return outcome


@row("addresses are limited from the start (RLIMIT_AS of 1 GiB): a pool works")
def addresses_limited(stage, package):
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]))
    pool = package.open_pool(WORKERS)
    values = pool.map(tasks.square, range(100))
    outcome = ("ok" if values == [i * i for i in range(100)] else "wrong") + lives(stage, pool)
    end(pool)
    return outcome


# --- descriptors and processes ---

def refused(package, errors):
    """Open a pool that cannot be: what came of it, as long as that is an error with one of these numbers."""
    pool = None
    try:
        pool = package.open_pool(WORKERS)
        pool.submit(tasks.square, 3).get(5)  # some are opened when they are first used
        return "ok"
    except OSError as error:
        return "ok" if error.errno in errors else "broken: " + errno.errorcode.get(error.errno, "OSError")
    finally:
        if pool:
            end(pool)


def try_without(stage, package, limit, most, errors):
    """Open a pool while there is nothing left of something; then with it back: works, and nothing was leaked."""
    first = package.open_pool(WORKERS)
    warm(stage, first)
    end(first)
    before = stage.descriptors()
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (most(), hard))
    try:
        outcome = refused(package, errors)
    except Exception as exception:
        outcome = "broken: " + type(exception).__name__
    finally:
        resource.setrlimit(limit, (soft, hard))
    if stage.descriptors() > before:
        outcome += ", descriptors leak"
    if not stage.until(lambda: not stage.workers(), 5):
        outcome += ", workers left"
    pool = package.open_pool(WORKERS)
    values, lost = collect(pool, "apply_async", tasks.square, ITEMS)
    outcome += lives(stage, pool) if not lost else ", then %d lost" % lost
    end(pool)
    return outcome


@row("no descriptor is left when a pool is opened: OSError, then it works as before")
def descriptors_exhausted(stage, package):
    return try_without(stage, package, resource.RLIMIT_NOFILE, lambda: stage.descriptors() + 1, [errno.EMFILE])


def become_nobody():
    """RLIMIT_NPROC does not bind root: become a user who has no other processes, and may still read all files."""
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None)
    user = 60000 + os.getpid() % 5000
    libc.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)(*[1 << DAC_OVERRIDE] * 3)
    if libc.capset(header, sets) != 0 or libc.prctl(AMBIENT, AMBIENT_RAISE, DAC_OVERRIDE, 0, 0) != 0:
        raise Unavailable("capabilities are not to be had here")
    libc.prctl(DUMPABLE, 1, 0, 0, 0)  # its own files under /proc are its own again


@row("no process can be made when a pool is opened: OSError, then it works as before")
def processes_exhausted(stage, package):
    become_nobody()
    return try_without(stage, package, resource.RLIMIT_NPROC, lambda: 1, [errno.EAGAIN])


@row("a worker dies while no process can be made: one lost, and the pool is full when one can")
def worker_dies_without_processes(stage, package):
    become_nobody()
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    everybody = stage.workers() + stage.helpers() + [os.getpid()]
    limits = resource.getrlimit(resource.RLIMIT_NPROC)
    for pid in everybody:
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, limits[1]))
    values, lost = collect(pool, "apply_async", tasks.killed, ITEMS)
    for pid in everybody:
        try:
            resource.prlimit(pid, resource.RLIMIT_NPROC, limits)
        except ProcessLookupError:
            pass
    outcome = ("ok" if lost == 1 else "%d lost" % lost) + lives(stage, pool)
    end(pool)
    return outcome


# --- disks ---

@row("what the workers print goes to a full disk: their results come all the same")
def stdout_full(stage, package):
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.close(full)
    pool = package.open_pool(WORKERS)
    values, errors = collect(pool, "apply_async", tasks.square, ITEMS)
    printed, failed = collect(pool, "apply_async", tasks.print_and_square, ITEMS)
    outcome = "ok" if (errors, failed) == (0, len(ITEMS)) else "%d lost" % errors
    outcome += lives(stage, pool)
    end(pool)
    sys.stdout = None  # this program has nothing to say
    return outcome


@row("/dev/shm and /tmp are full: queues, locks and pools work")
def shm_and_tmp_full(stage, package):
    if not os.environ["MATRIX_PRIVATE_SHM"]:
        raise Unavailable("needs a /dev/shm of its own")
    for folder in ("/dev/shm", os.environ["TMPDIR"]):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", folder], check=True)
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
            file.write(bytes(4096))
    try:
        return use_everything(stage, package)
    finally:
        for folder in ("/dev/shm", os.environ["TMPDIR"]):
            os.unlink(os.path.join(folder, "filler"))


@row("files may not grow (RLIMIT_FSIZE of 0): queues, locks and pools work, or say so")
def files_may_not_grow(stage, package):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        return use_everything(stage, package)
    except OSError as error:
        return "ok" if error.errno in (errno.EFBIG, errno.ENOMEM, errno.ENOSPC) else "broken: OSError"
    except MemoryError:
        return "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def use_everything(stage, package):
    pool = package.open_pool(WORKERS)
    values = pool.map(tasks.square, ITEMS)
    assert pool.submit(make_large, 1 << 20).get(10) == bytes(1 << 20)
    outcome = ("ok" if values == [i * i for i in ITEMS] else "wrong") + lives(stage, pool)
    end(pool)
    try:
        module = package.objects
    except Unavailable:
        return outcome
    q = module.Queue()
    with module.Lock():
        q.put(b"z" * 300000)
        assert len(q.get(timeout=5)) == 300000
    return outcome


# --- forks ---

def put_one(q, number):
    q.put(number)


@row("a hundred forks of a process whose threads hold locks all the time", limit=60)
def fork_with_threads(stage, package):
    module = package.objects
    q, busy, lock = module.Queue(), module.Queue(), module.Lock()
    stop = threading.Event()

    def use_locks():
        while not stop.is_set():
            with lock:
                busy.put("x" * 2000)
                busy.get()
            bytearray(100000)
            time.sleep(0.0001)

    threads = [threading.Thread(target=use_locks) for _ in range(3)]
    for thread in threads:
        thread.start()
    got = set()
    try:
        for number in range(100):
            child = start(package, put_one, q, number)
            got.add(q.get(timeout=10))
            child.join(10)
            if child.exitcode != 0:
                return "hang" if child.exitcode is None else "ended with %d" % child.exitcode
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return "ok" if got == set(range(100)) else "wrong"


def fork(function, *arguments):
    """Somebody else's fork: neither the package nor its Process knows of it."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return pid


@row("a child of os.fork uses a queue and a lock, and exits; the pool goes on")
def foreign_fork(stage, package):
    module = package.objects
    q, lock = module.Queue(), module.Lock()
    pool = package.open_pool(WORKERS)
    warm(stage, pool)
    workers = stage.workers()

    def use(number):
        with lock:
            q.put(number)
        q.close()
        q.join_thread()

    for number in range(10):
        pid = fork(use, number)
        if q.get(timeout=10) != number or os.waitpid(pid, 0)[1] != 0:
            return "wrong"
    pid = os.fork()
    if pid == 0:
        sys.exit(0)  # in order: with all that is registered to run at the end
    if os.waitpid(pid, 0)[1] != 0:
        return "child fails"
    outcome = "ok" if stage.workers() == workers else "workers killed"
    outcome += lives(stage, pool)
    end(pool)
    return outcome


@row("a grandchild of os.fork, whose parent has exited, uses a queue and a lock")
def double_fork(stage, package):
    module = package.objects
    q, lock = module.Queue(), module.Lock()

    def use():
        with lock:
            q.put(os.getppid())
        q.close()
        q.join_thread()

    for _ in range(10):
        pid = fork(fork, use)
        os.waitpid(pid, 0)
        q.get(timeout=10)
    return "ok" if lock.acquire(timeout=5) else "hang"


def daemon(stage, q, lock, channels):
    os.setsid()
    os.read(channels[0], 1)  # the main process has gone
    q.put("from the daemon")
    told = lock.acquire(timeout=5)
    word = q.get(timeout=5) if told else "no lock"
    with open(stage.path("daemon"), "w") as file:
        file.write(word)


def await_daemon(stage, main):
    """The main process dies while it holds a lock; the daemon goes on with queue and lock."""
    main.send_signal(signal.SIGKILL)
    main.wait(5)
    if not stage.until(lambda: os.path.exists(stage.path("daemon")), 8):
        return "hang"
    stage.until(lambda: os.path.getsize(stage.path("daemon")), 1)
    with open(stage.path("daemon")) as file:
        word = file.read()
    return "ok" if word == "from the daemon" else word or "wrong"


@row("a child of os.fork outlives the main process, which was killed with a lock, and uses both queue and lock",
     outside=await_daemon)
def daemon_outlives(stage, package):
    module = package.objects
    q, lock = module.Queue(), module.Lock()
    channels, ready = os.pipe(), os.pipe()

    def detach():
        os.close(channels[1])
        say(ready[1])
        daemon(stage, q, lock, channels)

    fork(detach)
    await_said(ready[0])
    lock.acquire()
    stage.ready()
    time.sleep(60)

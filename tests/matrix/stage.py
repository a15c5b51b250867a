"""What the scenarios share: the rows' register, and a stage on which one scenario is played."""
import ctypes
import os
import time

ROWS = {}  # by name, in the order of the table

HELPERS = ("resource_tracker", "forkserver", "semaphore_tracker")
KEEPERS = ("shoal-keeper", "shoal-server")


class Row:
    """One scenario: what happens, what is promised, who plays it inside of the program, who acts from outside.

    inside(stage, package) returns how it ended. outside(stage, main) is called by the cage when the program said that
    it is ready, with the program's process id, and returns how it ended."""

    def __init__(self, name, title, promise, inside, outside=None, attempts=1, limit=25):
        self.name, self.title, self.promise = name, title, promise
        self.inside, self.outside, self.attempts, self.limit = inside, outside, attempts, limit


def row(title, promise="ok", name=None, **options):
    """Register a function as a scenario, under its name."""
    def register(inside):
        key = name or inside.__name__
        assert key not in ROWS, key
        ROWS[key] = Row(key, title, promise, inside, **options)
        return inside
    return register


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def parents():
    """{process: its parent} of all processes that live (and are no zombies)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            words = read("/proc/%s/stat" % name).rpartition(b")")[2].split()
            if len(words) > 1 and words[0] not in (b"Z", b"X"):
                found[int(name)] = int(words[1])
    return found


def descendants(pid):
    """All processes below one, by generations."""
    family, found = parents(), []
    generation = {pid}
    while generation:
        generation = {child for child, parent in family.items() if parent in generation}
        found += sorted(generation)
    return found


def is_helper(pid, main):
    """Whether a descendant of main is no worker: a pool's keeper, a fork server, a tracker."""
    if read("/proc/%d/comm" % pid).decode().strip() in KEEPERS:
        return True
    command = read("/proc/%d/cmdline" % pid).decode(errors="replace")
    if "resource_tracker" in command or "semaphore_tracker" in command:
        return True
    return "forkserver" in command and parents().get(pid) == main  # those it forked have its command line too


def set_death_signal():
    """The process that calls this dies with its parent."""
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)


class Stage:
    """Where one scenario is played: a folder of its own, and looks at the processes."""

    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds
        self.marks = os.path.join(folder, "marks")

    def path(self, name):
        return os.path.join(self.folder, name)

    def ready(self):
        """Tell the cage that it may act."""
        with open(self.path("ready"), "w"):
            pass

    def done(self):
        """Items whose task came to its end."""
        return {name.split("-")[0] for name in os.listdir(self.marks)}

    @staticmethod
    def until(condition, seconds=10):
        """Wait until something holds that other processes bring about; whether it came to hold."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    @staticmethod
    def workers():
        main = os.getpid()
        return [pid for pid in descendants(main) if not is_helper(pid, main)]

    @staticmethod
    def helpers():
        main = os.getpid()
        return [pid for pid in descendants(main) if is_helper(pid, main)]

    @staticmethod
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

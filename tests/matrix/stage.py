"""What the scenarios share: the rows' register, and a stage on which one scenario is played."""
import os
import time

ROWS = {}  # by name, in the order of the table

TRACKERS = ("resource_tracker", "semaphore_tracker")
KEEPERS = ("shoal-keeper", "shoal-server")


class Row:
    """One scenario: what happens, what is promised, who plays it inside of the program, who acts from outside.

    inside(stage, package) returns how it ended. outside(stage, main) is called by the cage when the program said that
    it is ready, with the program's process id, and returns how it ended. One that is long takes as many seconds more as
    it is given."""

    def __init__(self, name, title, promise, inside, outside=None, attempts=1, limit=25,
                 is_long=False):
        self.name, self.title, self.promise = name, title, promise
        self.inside, self.outside, self.attempts = inside, outside, attempts
        self.limit, self.is_long = limit, is_long


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


def processes():
    """{process: (its parent, its session)} of all that live (and are no zombies)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            words = read("/proc/%s/stat" % name).rpartition(b")")[2].split()
            if len(words) > 3 and words[0] not in (b"Z", b"X"):
                found[int(name)] = int(words[1]), int(words[3])
    return found


def descendants(pid):
    """All processes below one, by generations."""
    family, found = processes(), []
    generation = {pid}
    while generation:
        generation = {child for child, (parent, _) in family.items() if parent in generation}
        found += sorted(generation)
    return found


def is_helper(pid, parent, main):
    """Whether a process of the program is no worker: a pool's keeper, a fork server, a tracker."""
    if read("/proc/%d/comm" % pid).decode().strip() in KEEPERS:
        return True
    command = read("/proc/%d/cmdline" % pid).decode(errors="replace")
    if any(name in command for name in TRACKERS):
        return True
    return "forkserver" in command and parent == main  # those it forked have its command line too


def others(helpers):
    """The program's other processes, orphans among them, by its session: its helpers, or its workers."""
    main = os.getpid()
    return [pid for pid, (parent, session) in sorted(processes().items())
            if session == main and pid != main and is_helper(pid, parent, main) == helpers]


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
        return others(helpers=False)

    @staticmethod
    def helpers():
        return others(helpers=True)

    @staticmethod
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

"""cell.py - the cage: plays one scenario with one package in a session of its own, with a limit of time, and looks at
what it leaves behind. Prints how it ended as JSON.

usage: cell.py ROW PACKAGE PYTHON FOLDER SECONDS

outcome is a word or two: what the scenario itself says ("ok", "1 lost"), "hang" where it did not end, "broken: ..."
where an exception ended it; and to that "leaves ..." where processes are there a second after the main process ended,
or names in /dev/shm or in the folder for temporary files."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scenarios  # noqa: E402
from stage import Stage, descendants, read  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
DEATH_SIGNAL, SUBREAPER, NEW_MOUNTS, PRIVATE, RECURSIVE, DETACH = 1, 36, 0x20000, 1 << 18, 1 << 14, 2
libc = ctypes.CDLL(None, use_errno=True)


def make_private_shm():
    """A /dev/shm of the cage's own, where that is allowed, so that what lies in it is the scenario's."""
    if libc.unshare(NEW_MOUNTS) != 0 or libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None) != 0:
        return False
    return libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, b"size=512m") == 0


def reap():
    """Reap what has ended of the orphans; the main process is subprocess's to reap."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all():
    """Kill what is left; returns how many processes there were a second after the main process had ended."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        reap()
        if not descendants(os.getpid()):
            break
        time.sleep(0.01)
    left = descendants(os.getpid())
    count = len(left)
    while left:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
        reap()
        left = descendants(os.getpid())
    return count


def count_of(count, noun, plural):
    return "%d %s%s" % (count, noun, "" if count == 1 else plural)


def first_exception(errors):
    """The name of the exception that ended the program: the last line that looks like one."""
    lines = [line for line in errors.splitlines() if line and not line[0].isspace() and line[0].isalpha()]
    words = [line.split(":")[0].split(".")[-1] for line in lines if line.split(":")[0].replace(".", "").isidentifier()]
    return words[-1] if words else "no reason given"


def wait_ready(stage, main, end):
    """Wait until the program says that it is ready; False where it ended before, or the time is up."""
    while not os.path.exists(stage.path("ready")):
        if main.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def describe(errors, path):
    """What stuck processes do, for the person who looks into a hang."""
    with open(path, "ab") as file:
        file.write(errors.encode(errors="replace"))
        for pid in descendants(os.getpid()):
            words = [read("/proc/%d/%s" % (pid, name)).replace(b"\0", b" ").strip()[:100]
                     for name in ("cmdline", "wchan", "syscall")]
            file.write(b"\nprocess %d: %s | %s | %s" % (pid, *words))


def attempt(scenario, package, python, folder, seconds):
    """Play once; returns (outcome, what the program wrote to stderr)."""
    folder.mkdir(parents=True)
    (folder / "marks").mkdir()
    stage = Stage(str(folder), seconds)
    temporary = tempfile.mkdtemp(prefix="cell-")  # its path is short: sockets lie in it
    shm_before = set(os.listdir("/dev/shm"))
    end = time.monotonic() + scenario.limit + scenario.is_long * seconds
    environment = dict(os.environ, TMPDIR=temporary, MATRIX_MARKS=stage.marks,
                       PYTHONPATH=os.pathsep.join(filter(None, [str(HERE), os.environ.get("MATRIX_PACKAGE")])),
                       PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", PYTHONWARNINGS="ignore")
    with open(stage.path("stdout"), "wb") as stdout, open(stage.path("stderr"), "wb") as stderr:
        main = subprocess.Popen([python, str(HERE / "actor.py"), scenario.name, package, str(folder), str(seconds)],
                                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
                                env=environment)
    outcome = None
    if scenario.outside and wait_ready(stage, main, end):
        outcome = scenario.outside(stage, main)
    try:
        main.wait(max(0.0, end - time.monotonic()) if outcome is None else 0.01)
    except subprocess.TimeoutExpired:
        outcome = outcome or "hang"
        describe(read(stage.path("stderr")).decode(errors="replace"), stage.path("hang"))
        main.kill()
        main.wait()
    left = end_all()
    errors = read(stage.path("stderr")).decode(errors="replace")
    if outcome is None:
        outcome = read(stage.path("outcome")).decode()
        if main.returncode < 0:
            outcome = (outcome + ", " if outcome else "") + "killed by signal %d" % -main.returncode
        elif not outcome:
            outcome = "broken: " + first_exception(errors)
    names = len(set(os.listdir("/dev/shm")) - shm_before) + len(os.listdir(temporary))
    libc.umount2(temporary.encode(), DETACH)  # where a scenario has mounted something there
    shutil.rmtree(temporary, ignore_errors=True)
    if outcome == "hang" or outcome.startswith("-"):
        return outcome, errors
    leaves = [count_of(left, "process", "es")] * bool(left) + [count_of(names, "name", "s")] * bool(names)
    if leaves:
        leaves = "leaves " + " and ".join(leaves)
        outcome = leaves if outcome == "ok" else "%s, %s" % (outcome, leaves)
    return outcome, errors


def main(name, package, python, folder, seconds):
    scenario, folder = scenarios.ROWS[name], pathlib.Path(folder)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    libc.prctl(DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)  # what it holds goes with who asked for it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["MATRIX_PRIVATE_SHM"] = "1" if make_private_shm() else ""
    begin = time.monotonic()
    try:
        for number in range(scenario.attempts):
            os.environ["MATRIX_ATTEMPT"] = str(number)
            outcome, errors = attempt(scenario, package, python, folder / str(number), float(seconds))
            if outcome != scenario.promise:
                break
    finally:
        end_all()
    print(json.dumps({"outcome": outcome, "seconds": round(time.monotonic() - begin, 2), "attempt": number,
                      "errors": errors[-3000:]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""isolate.py - a measurement in a process of its own, with a time limit: nothing of it outlives it."""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import sys
import time
import traceback


class Missing(Exception):
    """What is to be measured is not there: its text says what."""


def _work(measure, pipe):
    """In the child: measure, say what came of it, and end without any clean-up that could hang."""
    try:
        os.setsid()
        answer = {"value": measure()}
    except (Missing, ImportError) as error:
        answer = {"missing": str(error)}
    except BaseException as error:  # whatever it is, it is the answer
        answer = {"error": traceback.format_exception_only(type(error), error)[-1].strip()}
        if "BENCH_TRACEBACK" in os.environ:
            traceback.print_exc()
    os.write(pipe, json.dumps(answer).encode())
    os._exit(0)


def _read(pipe, limit):
    """What the child wrote before it ended or the time was up; empty where that is nothing."""
    end, data = time.monotonic() + limit, b""
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return b""
        data += (piece := os.read(pipe, 65536))
        if not piece or data.endswith(b"}"):
            return data


def _remove_names(pid):
    """Remove what a peer that was killed has left in /dev/shm: its process's id is part of the name."""
    for path in pathlib.Path("/dev/shm").iterdir():
        if re.search(rf"(?<!\d){pid}(?!\d)", path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def run(measure, limit):
    """Call measure in a forked process: {"value": ...}, or "missing" or "error" with a text."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(measure, writing)
    os.close(writing)
    data = _read(reading, limit)
    os.close(reading)
    if data:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it ends; its id stays taken until waitpid
    for group in (os.killpg, os.kill):  # what it started and did not end; itself, where it has no group yet
        try:
            group(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    _remove_names(pid)
    status = os.waitpid(pid, 0)[1]
    if data:
        return json.loads(data)
    if not os.WIFSIGNALED(status):
        return {"error": "ended without an answer"}
    if os.WTERMSIG(status) != signal.SIGKILL:
        return {"error": f"died of {signal.Signals(os.WTERMSIG(status)).name}"}
    return {"error": f"took more than {limit:g} s"}

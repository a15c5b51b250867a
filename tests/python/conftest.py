"""What the tests share: contexts, a time limit for each test, programs run in processes of their own."""

import faulthandler
import os
import pathlib
import subprocess
import sys

import pytest

import shoal

LIMIT = 60  # seconds a test may take
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"


@pytest.fixture(autouse=True)
def time_limit():
    """A test that hangs ends the run, with all stacks."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def context(request):
    return shoal.get_context(request.param)


@pytest.fixture
def run():
    """Run a program's text, or the words of a command, by this interpreter: (what it printed, its errors). Processes
    write each line at once, as to a terminal, so that the lines of several stand in the order of their writing."""
    def run(program, *words, code=0):
        command = [sys.executable, "-c", program] if isinstance(program, str) else [sys.executable, *program]
        result = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, timeout=LIMIT - 10,
                                env=dict(os.environ, PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1"))
        assert result.returncode == code, result.stderr
        return result.stdout, result.stderr
    return run

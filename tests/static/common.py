"""What the static checks share: the files of the tree, and how a check ends."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(*patterns, under=("include", "src", "python", "tests", "examples", "bench")):
    """The files below the named folders that match one of the patterns, sorted."""
    found = {path for folder in under for pattern in patterns for path in (ROOT / folder).rglob(pattern)}
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def numbered_lines(path):
    return enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)


def name(path):
    """A path as people write it: from the top of the tree."""
    path = pathlib.Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def run(*command, **options):
    """Run a command and return its output; print that output and end the check where it fails."""
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, **options)
    if result.returncode != 0:
        finish([f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stdout}"], 0)
    return result.stdout


def skip(reason):
    print(reason)
    sys.exit(77)


def finish(problems, looked_at):
    """Print what is wrong and end the check. One that looked at nothing has not passed."""
    for problem in problems:
        print(problem)
    if not problems and not looked_at:
        problems = ["nothing was looked at"]
        print(problems[0])
    print(f"{looked_at} looked at, {len(problems)} wrong")
    sys.exit(1 if problems else 0)

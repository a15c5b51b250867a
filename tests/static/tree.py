"""tree.py - what holds for every file: its first line says what it is, it is short enough, nothing is left to do.

usage: tree.py"""

import re
import subprocess

from common import ROOT, finish, name, numbered_lines

MOST_LINES = 700
WIDTH = 120
LEFT_TO_DO = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
CONFLICT = re.compile(r"^(<{7}|>{7}) ")
# Folders that exist on one machine only.
MACHINE = re.compile(r"(?<![\w.])/(work|root|home)/")
BINARY = {".bin", ".png", ".gz", ".svg", ".ico"}


def tracked_files():
    """The files under version control; in an unpacked archive, all but what the build makes."""
    git = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, text=True)
    if git.returncode == 0:
        paths = [ROOT / path for path in git.stdout.split("\0") if path]
    else:
        paths = [path for path in ROOT.rglob("*") if not {"build", ".venv"} & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def problems_of(path):
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        yield ": no newline at its end"
    source = path.suffix in {".c", ".h", ".py", ".sh"} or path.suffix == "" and text.startswith("#!")
    if source and len(text.splitlines()) > MOST_LINES:
        yield f": has {len(text.splitlines())} lines: {MOST_LINES} at most"
    if path.suffix in {".c", ".h"} and not text.startswith(f"/* {path.name} - "):
        yield f': does not begin with "/* {path.name} - what it is"'
    for number, line in numbered_lines(path):
        if LEFT_TO_DO.search(line):
            yield f":{number}: left to do: {line.strip()}"
        if CONFLICT.match(line):
            yield f":{number}: a merge was not finished"
        if MACHINE.search(line):
            yield f":{number}: names a folder of one machine: {line.strip()}"
        if line != line.rstrip() and path.suffix != ".md":
            yield f":{number}: blanks at the line's end"
        if source and "\t" in line:
            yield f":{number}: a tab"
        if source and len(line) > WIDTH:
            yield f":{number}: {len(line)} columns: {WIDTH} at most"


def main():
    paths = tracked_files()
    finish([f"{name(path)}{problem}" for path in paths for problem in problems_of(path)], len(paths))


main()

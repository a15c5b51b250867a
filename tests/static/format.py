"""format.py - the C files are as clang-format leaves them (`make format`).

usage: format.py CLANG_FORMAT"""

import re
import subprocess
import sys

from common import ROOT, files, finish, run, skip

VERSION = 14  # another version may format otherwise


def main(program):
    version = re.search(r"version (\d+)", run(program, "--version"))
    if not version or int(version[1]) != VERSION:
        skip(f"clang-format is not version {VERSION}")
    paths = files("*.[ch]", "*.cc", "*.cpp")
    result = subprocess.run([program, "--dry-run", "-Werror", "--ferror-limit=3", *paths], cwd=ROOT,
                            capture_output=True, text=True)
    finish([result.stderr.strip()] if result.returncode else [], len(paths))


main(*sys.argv[1:])

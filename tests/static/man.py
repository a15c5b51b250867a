"""man.py - the manual pages are clean by mandoc's rules.

usage: man.py MANDOC"""

import subprocess
import sys

from common import ROOT, finish, name, skip


def main(program):
    pages = sorted((ROOT / "docs" / "man").glob("*.[1-9]"))
    if not pages:
        skip("there are no manual pages yet")
    problems = []
    for page in pages:
        lint = subprocess.run([program, "-Tlint", "-Wwarning", page], capture_output=True, text=True)
        problems += [line.replace(str(page), name(page)) for line in lint.stdout.splitlines()]
    finish(problems, len(pages))


main(*sys.argv[1:])

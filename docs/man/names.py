"""names.py - the names that manual pages describe besides their own: for each a line "name page".

usage: names.py PAGE..."""

import pathlib
import re
import sys

for page in map(pathlib.Path, sys.argv[1:]):
    section = page.suffix
    names = page.read_text(encoding="utf-8").split(".Sh NAME\n")[1].split(".Nd ")[0]
    for name in re.findall(r"^\.Nm (\w+)", names, re.M):
        if name + section != page.name:
            print(name + section, page.name)

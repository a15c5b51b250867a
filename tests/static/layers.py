"""layers.py - a layer includes only its own headers and those of the layers below it.

usage: layers.py"""

import re

from common import files, finish, name, numbered_lines

LAYERS = ["base", "os", "arena", "sync", "queue", "process", "pool", "share", "engine"]
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]*)"')


def problem_of(layer, included):
    """What is wrong with this include in a file of this layer; None where nothing is."""
    parts = included.split("/")
    if len(parts) != 2 or parts[0] not in LAYERS:
        return f'"{included}" does not name its layer'
    if LAYERS.index(parts[0]) > LAYERS.index(layer):
        return f"layer {layer} includes \"{included}\", of a layer above it"
    return None


def main():
    problems, count = [], 0
    for path in files("*.[ch]", under=["src"]):
        layer = path.parent.name
        if path.parent.parent.name != "src":  # a table of all layers' things, in src/ itself, belongs to none
            continue
        if layer not in LAYERS:
            problems.append(f"{name(path)}: no layer is called {layer}")
            continue
        for number, line in numbered_lines(path):
            match = INCLUDE.match(line)
            if match:
                count += 1
                problem = problem_of(layer, match[1])
                if problem:
                    problems.append(f"{name(path)}:{number}: {problem}")
    finish(problems, count)


main()

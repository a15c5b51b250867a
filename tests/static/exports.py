"""exports.py - the shared library exports what the public headers declare; the static one defines no other names.

usage: exports.py LIBSHOAL_SO LIBSHOAL_A"""

import re
import sys

from common import files, finish, run

# Names that every linker or version script adds.
VERSION_NODE = re.compile(r"^SHOAL_\d+$")
PREFIXES = ("shoal_", "sh_")


def defined(*command):
    """The global symbols that a library defines."""
    symbols = set()
    for line in run("nm", "--defined-only", "--extern-only", "--format=posix", *command).splitlines():
        words = line.split()
        if len(words) >= 2 and len(words[1]) == 1:
            symbols.add(words[0].split("@")[0])
    return symbols


def declared():
    """The functions that the public headers declare."""
    names = set()
    for header in files("*.h", under=["include"]):
        text = re.sub(r"/\*.*?\*/|^#.*?$", "", header.read_text(), flags=re.S | re.M)
        names.update(re.findall(r"SHOAL_API[^;{}()]*?\b(\w+)\s*\(", text))
    return names


def main(shared, static):
    exported = {symbol for symbol in defined("--dynamic", shared) if not VERSION_NODE.match(symbol)}
    public = declared()
    problems = [f"exported, but declared in no public header: {symbol}" for symbol in sorted(exported - public)]
    problems += [f"declared, but its name does not begin with shoal_: {symbol}"
                 for symbol in sorted(public) if not symbol.startswith("shoal_")]
    problems += [f"global in the static library, but its name does not begin with shoal_ or sh_: {symbol}"
                 for symbol in sorted(defined(static)) if not symbol.startswith(PREFIXES)]
    problems += [f"declared, but not exported: {symbol}" for symbol in sorted(public - exported)]
    finish(problems, len(exported))


main(*sys.argv[1:])

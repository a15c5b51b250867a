"""syscalls.py - only src/os calls the system: what the other layers' objects need from libc is looked at.

usage: syscalls.py LIBSHOAL_A"""

import re
import sys

from calls import is_call, symbols
from common import files, finish, name, numbered_lines

KERNEL_HEADER = re.compile(r"\s*#\s*include\s+<(linux/|asm/|sys/syscall\.h)")


def main(library):
    problems, count = [], 0
    for source, symbol, kind in symbols(library):
        count += 1
        if kind == "U" and is_call(symbol) and not source.startswith("src/os/"):
            problems.append(f"{source} calls {symbol}: system calls belong in src/os")
    for path in files("*.[ch]", under=["src"]):
        for number, line in numbered_lines(path):
            if path.parent.name != "os" and KERNEL_HEADER.match(line):
                problems.append(f"{name(path)}:{number}: {line.strip()}: the kernel's headers belong in src/os")
    finish(problems, count)


main(*sys.argv[1:])

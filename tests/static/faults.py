"""faults.py - each call that can fail is made to fail: what the library calls is in tests/harness/calls.c.

usage: faults.py LIBSHOAL_A LIBFAULT_A NAME ...     the names that tests have the linker wrap"""

import re
import sys

from calls import is_call, name_of, symbols
from common import ROOT, finish, run

# What libc allocates or asks the system for under another name.
RESERVES = set("""
    malloc calloc realloc reallocarray aligned_alloc posix_memalign memalign valloc strdup strndup asprintf vasprintf
    open_memstream fmemopen getline getdelim setenv putenv atexit on_exit at_quick_exit pthread_create
    pthread_key_create pthread_setspecific pthread_atfork pthread_mutex_init pthread_mutexattr_init pthread_cond_init
    pthread_condattr_init pthread_rwlock_init pthread_barrier_init pthread_attr_init posix_spawnattr_init
    posix_spawn_file_actions_init posix_spawn_file_actions_addopen posix_spawn_file_actions_adddup2
    posix_spawn_file_actions_addclose posix_spawn_file_actions_addclosefrom_np
""".split())

# Calls that are not made to fail, and why.
CANNOT = {
    "_exit": "does not return",
    "eventfd_write": "of a counter that is 0",
    "getegid": "never fails",
    "geteuid": "never fails",
    "getpid": "never fails",
    "getppid": "never fails",
    "getrlimit": "of a limit that there is",
    "prctl": "of a name, or of a signal that there is",
    "pthread_sigmask": "of a mask that there is",
    "raise": "of this process",
    "sigaction": "of a signal that there is",
    "sysconf": "of a value that every system has",
    "syscall": "one by one: SYS_...",
    "clock_gettime": "of a clock that there is",
}
# And those by number.
CANNOT_NUMBERS = {
    "SYS_gettid": "never fails",
    "SYS_get_robust_list": "of the calling thread",
}
NUMBER = re.compile(r"\bsyscall\((SYS_\w+)")


def check_symbols(library, faults, wrapped):
    intercepted = {line.split()[-1][len("__wrap_"):] for line in run("nm", "--defined-only", faults).splitlines()
                   if "__wrap_" in line}
    used = {symbol for _, symbol, kind in symbols(library) if kind == "U"}
    for symbol in sorted(used):
        plain = name_of(symbol)
        if not is_call(symbol) and symbol not in RESERVES:
            continue
        if plain != "syscall" and CANNOT.keys() & {plain, symbol}:
            continue
        if symbol not in intercepted:
            yield f"the library calls {symbol}, which tests/harness/calls.c does not let fail"
        if symbol not in wrapped:
            yield f"the library calls {symbol}, which tests/harness/meson.build does not have wrapped"
    for symbol in sorted(intercepted - wrapped):
        yield f"tests/harness/calls.c lets {symbol} fail, which tests/harness/meson.build does not have wrapped"


def check_numbers():
    table = (ROOT / "tests/harness/calls.c").read_text(encoding="utf-8")
    for path in sorted((ROOT / "src").rglob("*.c")):
        for number in sorted(set(NUMBER.findall(path.read_text(encoding="utf-8")))):
            if number not in CANNOT_NUMBERS and f"case {number}:" not in table:
                yield f"{path.name} makes the system call {number}, which tests/harness/calls.c does not let fail"


def main(library, faults, *wrapped):
    problems = list(check_symbols(library, faults, set(wrapped))) + list(check_numbers())
    finish(problems, len(wrapped))


main(*sys.argv[1:])

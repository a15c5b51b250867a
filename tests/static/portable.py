"""portable.py - the library compiles, without a warning, for another libc or another architecture.

usage: portable.py COMPILER"""

import pathlib
import subprocess
import sys
import tempfile

from common import files, finish, name, ROOT

OPTIONS = ["-std=gnu17", "-D_GNU_SOURCE", '-DSHOAL_VERSION="0"', "-fsyntax-only", "-O1", "-Wall", "-Wextra", "-Werror",
           "-Wno-missing-field-initializers", f"-I{ROOT / 'include'}", f"-I{ROOT / 'src'}"]
KERNEL_HEADERS = {"linux": "linux", "asm": "x86_64-linux-gnu/asm", "asm-generic": "asm-generic"}


def main(compiler):
    sources = files("*.c", under=["src"])
    problems = []
    with tempfile.TemporaryDirectory() as headers:
        if compiler.endswith("musl-gcc"):  # whose folder of headers lacks the kernel's
            for link, target in KERNEL_HEADERS.items():
                (pathlib.Path(headers) / link).symlink_to(f"/usr/include/{target}")
        for source in sources:
            result = subprocess.run([compiler, *OPTIONS, "-idirafter", headers, str(source)], capture_output=True,
                                    text=True, timeout=100)
            if result.returncode != 0:
                problems.append(f"{name(source)}: {result.stderr}")
    finish(problems, len(sources))


main(*sys.argv[1:])

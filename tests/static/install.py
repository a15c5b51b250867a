"""install.py - what is installed can be used: a C and a C++ program are built by pkg-config alone, and run.

usage: install.py BUILD_DIR CC[,CXX] MESON...   (the words that run meson)"""

import os
import pathlib
import subprocess
import sys
import tempfile

from common import ROOT, finish, run

PROGRAM = """
#include <shoal/shoal.h>
#include <stdio.h>

int main()
{
    puts(shoal_version());
    return shoal_strerror(-1) == NULL;
}
"""


def pkg_config(root, *arguments):
    folders = [str(path) for path in root.rglob("pkgconfig")]
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=":".join(folders), PKG_CONFIG_SYSROOT_DIR=str(root))
    return run("pkg-config", *arguments, "shoal", env=environment).split()


def main(build, compilers, *meson):
    problems, compilers = [], compilers.split(",")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        run(*meson, "install", "-C", build, "--no-rebuild", "--destdir", root, "--quiet")

        headers = {path.name for path in root.rglob("include/shoal/*.h")}
        expected = {path.name for path in (ROOT / "include" / "shoal").glob("*.h")}
        problems += [f"not installed: {header}" for header in sorted(expected - headers)]
        [library] = root.rglob("libshoal.so.0")
        pages = {path.name for path in root.rglob("man?/*")}
        expected = {path.name for path in (ROOT / "docs" / "man").glob("*.[1-9]")}
        problems += [f"not installed: {page}" for page in sorted(expected - pages)]

        version = pkg_config(root, "--modversion")[0]
        environment = dict(os.environ, LD_LIBRARY_PATH=str(library.parent))
        for compiler in compilers:
            language = "c++" if "++" in compiler else "c"
            source = root / f"program.{'cc' if language == 'c++' else 'c'}"
            source.write_text(PROGRAM)
            for kind, flags in (("shared", []), ("static", ["--static"])):
                program = root / f"program-{language}-{kind}"
                words = pkg_config(root, "--cflags", "--libs", *flags)
                if kind == "static":
                    words = ["-l:libshoal.a" if word == "-lshoal" else word for word in words]
                run(compiler, source, "-o", program, *words)
                output = subprocess.run([program], env=environment if kind == "shared" else None,
                                        capture_output=True, text=True)
                if output.returncode != 0 or output.stdout.strip() != version:
                    problems.append(f"{compiler}, {kind}: exit code {output.returncode}, prints {output.stdout!r}")
    finish(problems, 2 * len(compilers))


main(*sys.argv[1:])

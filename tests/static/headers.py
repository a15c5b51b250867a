"""headers.py - each public header compiles alone, and twice, in C99 and C++17, without a warning.

usage: headers.py COMPILER LANGUAGE   (LANGUAGE: c or c++)"""

import subprocess
import sys

from common import ROOT, files, finish, name

WARNINGS = ["-Werror", "-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wconversion", "-Wsign-conversion"]
# Not -Wshadow in C++: a function may have the name of the struct that it fills, as stat has.
LANGUAGE = {"c": ["-std=c99", "-Wstrict-prototypes", "-Wshadow"], "c++": ["-std=c++17", "-Wold-style-cast"]}


def main(compiler, language):
    problems = []
    command = [compiler, "-x", language, *LANGUAGE[language], *WARNINGS, f"-I{ROOT / 'include'}"]
    headers = files("*.h", under=["include"])
    for header in headers:
        include = f"#include <shoal/{header.name}>\n"
        result = subprocess.run([*command, "-fsyntax-only", "-"], input=include * 2, capture_output=True, text=True)
        if result.returncode != 0:
            problems.append(f"{name(header)}: {result.stderr}")
    finish(problems, len(headers))


main(*sys.argv[1:])

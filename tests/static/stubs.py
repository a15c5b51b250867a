"""stubs.py - what the package says of its types is so, and mypy accepts programs that use it.

The stubs and an annotated program are held to mypy's strict mode, the examples too but for annotations, which they have
none of; and all that the stubs promise is compared with what is there when the package runs.

usage: stubs.py FOLDER_OF_THE_PACKAGE"""

import importlib.util
import os
import sys
import tempfile

from common import ROOT, finish, run, skip

WITHOUT_ANNOTATIONS = ["--allow-untyped-defs", "--allow-untyped-calls", "--check-untyped-defs"]


def main(package):
    if not importlib.util.find_spec("mypy"):
        skip("no mypy (tools/setup tests installs it)")
    stubs = sorted((ROOT / "python" / "shoal").glob("*.pyi"))
    examples = sorted((ROOT / "examples" / "python").glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        options = {"cwd": folder, "env": dict(os.environ, MYPYPATH=package, PYTHONPATH=package)}
        run(sys.executable, "-m", "mypy", "--strict", *stubs, **options)
        run(sys.executable, "-m", "mypy", "--strict", ROOT / "tests" / "static" / "annotated.py", **options)
        run(sys.executable, "-m", "mypy", "--strict", *WITHOUT_ANNOTATIONS, *examples, **options)
        run(sys.executable, "-m", "mypy.stubtest", "shoal", "--ignore-missing-stub", "--ignore-disjoint-bases",
            **options)
    finish([], len(stubs) + len(examples) + 1)


main(*sys.argv[1:])

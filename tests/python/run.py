"""run.py - run the tests in this folder by pytest, and say how each ended in TAP.

usage: run.py FOLDER_OF_THE_PACKAGE [pytest options]"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent


class Tap:
    """Prints a line for each test."""

    count = 0

    def pytest_runtest_logreport(self, report):
        skipped = report.outcome == "skipped"
        if report.when != "call" and report.outcome == "passed" or report.when == "teardown" and skipped:
            return
        self.count += 1
        name = report.nodeid.split("tests/python/")[-1].replace("#", "")
        reason = " # SKIP " + str(report.longrepr[-1]) if skipped else ""
        print("%sok %d - %s%s" % ("not " if report.outcome == "failed" else "", self.count, name, reason), flush=True)
        if report.outcome == "failed":
            print("# " + report.longreprtext.replace("\n", "\n# "), flush=True)


def main(package, *options):
    try:
        import pytest
    except ImportError:
        print("no pytest (tools/setup tests installs it)")
        return 77
    sys.path.insert(0, package)
    os.environ["PYTHONPATH"] = package
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    common = ["-p", "no:cacheprovider", "--capture=sys", "--rootdir", str(HERE)]
    if options:
        return pytest.main([*common, *options])
    return pytest.main([*common, "-q", "-p", "no:terminalreporter", str(HERE)], plugins=[Tap()])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

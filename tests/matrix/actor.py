"""actor.py - the program inside the cage: plays one scenario with one package, and tells how it ended.

usage: actor.py ROW PACKAGE FOLDER SECONDS"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scenarios  # noqa: E402
from packages import PACKAGES, Unavailable  # noqa: E402
from stage import Stage  # noqa: E402


def main(name, package, folder, seconds):
    stage = Stage(folder, float(seconds))
    try:
        outcome = scenarios.ROWS[name].inside(stage, PACKAGES[package])
    except Unavailable as reason:
        outcome = "- " + str(reason)
    if outcome:
        with open(stage.path("outcome"), "w") as file:
            file.write(outcome)


if __name__ == "__main__":
    main(*sys.argv[1:])

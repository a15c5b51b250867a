"""main.py - the benchmark of the Python package: all contestants of a row in turns, again and again.

A ratio is taken between two measurements of the same round, and what is told is the median of the rounds' ratios."""
import argparse
import os
import sys
import time

import isolate
import report
import ways
from rows import ROWS

FULL = {"seconds": 330, "rounds": 15}
QUICK = {"seconds": 110, "rounds": 4}  # the peers in the first round alone


def ask_for_priority():
    """A session of our own at the front, where that is allowed: other sessions' work disturbs less."""
    try:
        os.setsid()
    except OSError:
        pass
    for what in (lambda: open("/proc/self/autogroup", "w").write("-20"), lambda: os.nice(-20)):
        try:
            what()
        except OSError:
            pass


def without_peers(rows):
    return [row._replace(ways={name: row.ways[name] for name in (row.baseline, row.ours)}) for row in rows]


def measure_round(rows, results, backwards, limit):
    """One round: each row's contestants in turn, or in the opposite order."""
    for row in rows:
        names = list(row.ways)
        for name in reversed(names) if backwards else names:
            if results.is_out(row, name):
                continue
            results.add(row, name, isolate.run(row.ways[name], limit))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some %d seconds" % QUICK["seconds"])
    parser.add_argument("--seconds", type=float, help="begin no round that would take longer than this in all")
    parser.add_argument("--rounds", type=int, help="at most so many rounds")
    parser.add_argument("--limit", type=float, default=20, help="seconds that one measurement may take")
    parser.add_argument("--only", default="", help="only rows with this in their name")
    parser.add_argument("--without-peers", action="store_true", help="only shoal and what it is compared with")
    parser.add_argument("--polite", action="store_true", help="ask for no priority over other processes")
    parser.add_argument("--text", help="write the table there too")
    parser.add_argument("--json", help="write all values there")
    options = parser.parse_args()
    settings = dict(QUICK if options.quick else FULL)
    settings.update((key, value) for key in settings if (value := getattr(options, key)) is not None)

    rows = [row for row in ROWS if options.only in f"{row.group}: {row.name}"]
    if options.without_peers:
        rows = without_peers(rows)
    if not options.polite:
        ask_for_priority()
    environment = report.Environment(ways.choose_cpus())
    results, begin, rounds = report.Results(), time.monotonic(), 0
    while rounds < settings["rounds"]:
        began = time.monotonic()
        measured = without_peers(rows) if options.quick and rounds else rows
        measure_round(measured, results, rounds % 2 == 1, options.limit)
        rounds += 1
        now = time.monotonic()
        print(f"bench-python: round {rounds}, {now - begin:.0f} s", file=sys.stderr)
        if now - begin + (now - began) > settings["seconds"]:
            break
    environment.finish(rounds)
    text = report.as_text(rows, results, environment)
    print(text)
    if options.text:
        with open(options.text, "w", encoding="utf-8") as file:
            print(text, file=file)
    if options.json:
        report.write_json(options.json, rows, results, environment)


if __name__ == "__main__":
    main()

"""programs.py - an example program prints what it should: the shape, and what holds whatever the order of events.

usage: programs.py NAME PROGRAM"""

import re
import subprocess
import sys
import time

TIMEOUT = 60


def run(*command):
    """What a program prints, and the seconds it took; it has to end with 0 and without complaints."""
    begin = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 0, f"exit code {result.returncode}: {result.stderr}"
    assert result.stderr == "", result.stderr
    return result.stdout


def lines_of(text, *patterns):
    """The lines' groups, where each line matches its pattern."""
    lines = text.splitlines()
    assert len(lines) == len(patterns), f"{len(lines)} lines, not {len(patterns)}:\n{text}"
    groups = []
    for line, pattern in zip(lines, patterns):
        match = re.fullmatch(pattern, line)
        assert match, f"{line!r} is not {pattern!r}"
        groups += match.groups()
    return groups


def two_processes(text):
    """Both sleep for a second: together they take less than two."""
    first, second, seconds = lines_of(text, r"this is test\.\.\.(\d)", r"this is test\.\.\.(\d)",
                                      r"run time is (\d+\.\d+)", r"messages in the queue: 2")
    assert {first, second} == {"1", "2"}
    assert 1 <= float(seconds) < 2, seconds


def return_values(text):
    first, second, seconds = lines_of(text, r"(\d) (\d)", r"run time is (\d+\.\d+)")[:3]
    assert {first, second} == {"1", "2"}
    assert 1 <= float(seconds) < 2, seconds


def squares(text):
    assert text == f"{[x * x for x in range(10)]}\n", text


def one_task(text):
    assert text == "4\n", text


def ten_tasks(text):
    assert text == f"{list(range(10))}\n", text


def lock(text):
    without, rounds, locked, again = map(int, lines_of(text, r"without a lock: (\d+) of (\d+)",
                                                       r"with a lock:    (\d+) of (\d+)"))
    assert locked == rounds == again
    assert 0 < without <= rounds


def pool_of_three(text):
    """Each task begins and is done once, in that order, on three processes at most; so some process ids repeat."""
    lines = text.splitlines()
    assert lines.count("----start----") == 1 and lines[-1] == "-----end-----", text
    begun, done = {}, set()
    for line in lines:
        begin = re.fullmatch(r"(\d) begins, process (\d+)", line)
        end = re.fullmatch(r"(\d) is done, it took \d\.\d\d", line)
        assert begin or end or line.startswith("--"), line
        if begin:
            assert begin[1] not in begun
            begun[begin[1]] = begin[2]
        if end:
            assert end[1] in begun and end[1] not in done
            done.add(end[1])
    assert done == begun.keys() == set("0123456789"), text
    assert 1 <= len(set(begun.values())) <= 3, text


def queue_in_pool(text):
    """The workers are children of the program, and the reader gets what the writer put, in order."""
    patterns = [r"reader got a message from the queue: (.)"] * 10
    main, _, parent1, _, parent2, *letters, end = lines_of(
        text, r"\((\d+)\) start", r"writer started \((\d+)\), its parent is \((\d+)\)",
        r"reader started \((\d+)\), its parent is \((\d+)\)", *patterns, r"\((\d+)\) end")
    assert main == parent1 == parent2 == end, text
    assert "".join(letters) == "helloworld"


CHECKS = {"two_processes": two_processes, "return_values": return_values, "map": squares, "apply_async": one_task,
          "apply_async_list": ten_tasks, "lock": lock, "pool_of_three": pool_of_three, "queue_in_pool": queue_in_pool}


def main(name, program):
    text = run(program)
    try:
        CHECKS[name](text)
    except AssertionError as problem:
        sys.exit(f"{name}: {problem}\nIt printed:\n{text}")


main(*sys.argv[1:])

"""The benchmark of the package: it measures, and what hangs, dies or is not there gets no figure."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python"
sys.path.insert(0, str(BENCH))

import isolate  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402


def test_a_measurement_tells_its_value():
    assert isolate.run(lambda: 1.5, 10) == {"value": 1.5}


def test_one_that_hangs_is_given_up_and_all_it_started_is_killed(tmp_path):
    pids = tmp_path / "pid"

    def hang():
        child = os.fork()
        if child:
            pids.write_text(str(child))
        signal.pause()

    begin = time.monotonic()
    assert "took more than" in isolate.run(hang, 0.5)["error"]
    assert time.monotonic() - begin < 5
    child = int(pids.read_text())
    while is_alive(child):
        assert time.monotonic() - begin < 10
        time.sleep(0.01)


def is_alive(pid):
    """Whether it is there, and not only waits for whoever adopted it to reap it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_that_dies_raises_or_misses_something_says_so():
    assert "SIGUSR1" in isolate.run(lambda: os.kill(os.getpid(), signal.SIGUSR1), 10)["error"]
    assert "ValueError: no" in isolate.run(lambda: _raise(ValueError("no")), 10)["error"]
    assert isolate.run(lambda: _raise(isolate.Missing("a pool")), 10) == {"missing": "a pool"}


def _raise(error):
    raise error


def test_a_ratio_is_of_one_round_and_the_verdict_follows_the_targets():
    row = rows.row("group", "name", 3, 5, {"multiprocessing": None, "shoal": None})
    results = report.Results()
    for base, ours in ((4, 1), (8, 2), (30, 3)):
        results.add(row, "multiprocessing", {"value": base})
        results.add(row, "shoal", {"value": ours})
    assert results.ratios(row, "shoal") == [4, 4, 10]
    assert [report.verdict(row, ratio) for ratio in (2.9, 3, 5)] == ["missed", "met", "stretch met"]
    results.add(row, "shoal", {"error": "died"})
    assert results.ratios(row, "shoal") == []


def test_the_program_measures_a_row(tmp_path):
    result = subprocess.run(
        [sys.executable, str(BENCH / "main.py"), "--polite", "--rounds", "1", "--without-peers", "--only",
         "Lock, alone", "--json", str(tmp_path / "results.json")], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    row, = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["ratio"] > 0 and len(row["seconds"]["shoal"]) == 1


def test_names_of_a_measurement_are_removed():
    def leave():
        name = "/dev/shm/bench-%d-left" % os.getpid()
        open(name, "w").close()
        return name

    assert not os.path.exists(isolate.run(leave, 10)["value"])

"""report.py - what came of the measurements: medians, ratios, a text, and JSON."""
import collections
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import time

PEERS = ["billiard", "loky", "joblib", "pebble", "mpire", "faster-fifo", "numpy"]


def _busy_ticks():
    """Ticks that all CPUs have been at work."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _io, irq, soft = map(int, file.readline().split()[1:8])
    return user + nice + system + irq + soft


def _own_seconds():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _versions():
    found = {}
    for name in PEERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


class Environment:
    """What was measured, on what, and how busy it was with other things."""

    def __init__(self, cpus):
        import shoal
        self.facts = {
            "shoal": shoal.__version__,
            "python": platform.python_version(),
            "cpu": _cpu_model(),
            "cpus": os.cpu_count(),
            "pinned_to": cpus,
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "load_before": os.getloadavg()[0],
            "versions": _versions(),
        }
        self._begin = time.monotonic(), _busy_ticks(), _own_seconds()

    def finish(self, rounds):
        began, ticks, own = self._begin
        seconds = time.monotonic() - began
        busy = (_busy_ticks() - ticks) / os.sysconf("SC_CLK_TCK")
        self.facts.update(load_after=os.getloadavg()[0], seconds=seconds, rounds=rounds,
                          other_cpus_busy=max(0.0, (busy - (_own_seconds() - own)) / seconds))


class Results:
    """Seconds, by row and contestant, one for each round; and why there are none."""

    def __init__(self):
        self.values = collections.defaultdict(list)
        self.remarks = {}

    @staticmethod
    def _key(row, name):
        return f"{row.group}: {row.name}", name

    def add(self, row, name, answer):
        if "value" in answer:
            self.values[self._key(row, name)].append(answer["value"])
        else:
            self.remarks[self._key(row, name)] = answer.get("missing") or f"failed: {answer['error']}"

    def is_out(self, row, name):
        """Whether it is of no use to try again."""
        return self._key(row, name) in self.remarks

    def get(self, row, name):
        """The values; none where a round had none."""
        return [] if self.is_out(row, name) else self.values[self._key(row, name)]

    def ratios(self, row, name):
        """How many times as fast as the baseline, in each round."""
        return [base / value for base, value in zip(self.get(row, row.baseline), self.get(row, name))]


def _time(seconds):
    for scale, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _ratio(value):
    return f"{value:.0f}x" if value >= 100 else f"{value:.3g}x"


def verdict(row, ratio):
    if row.target is None:
        return "no target"
    if row.stretch and ratio >= row.stretch:
        return "stretch met"
    return "met" if ratio >= row.target else "missed"


def _targets_text(row):
    words = [f"{value:g}x" for value in (row.target, row.stretch) if value]
    return " / ".join(words) or "-"


def _main_table(rows, results):
    head = ("", "baseline", "shoal", "ratio", "(lowest - highest)", "target / stretch", "verdict")
    table, counts = [head], collections.Counter()
    for row in rows:
        base, ours, ratios = results.get(row, row.baseline), results.get(row, row.ours), results.ratios(row, row.ours)
        if not ratios:
            table.append((f"{row.group}: {row.name}", _time(statistics.median(base)) if base else "-", "-", "-", "",
                          _targets_text(row), "left out"))
            continue
        ratio = statistics.median(ratios)
        counts[verdict(row, ratio)] += 1
        table.append((f"{row.group}: {row.name}", _time(statistics.median(base)), _time(statistics.median(ours)),
                      _ratio(ratio), f"({_ratio(min(ratios))} - {_ratio(max(ratios))})", _targets_text(row),
                      verdict(row, ratio)))
    return table, counts


def _peer_table(rows, results):
    names = list(dict.fromkeys(name for row in rows for name in row.ways if name not in (row.baseline, row.ours)))
    names = [name for name in names if any(results.get(row, name) for row in rows if name in row.ways)]
    table = [("", *names)]
    for row in rows:
        cells = []
        for name in names:
            ratios = results.ratios(row, name) if name in row.ways else []
            cells.append(_ratio(statistics.median(ratios)) if ratios else "-")
        if set(cells) - {"-"}:
            table.append((f"{row.group}: {row.name}", *cells))
    return table if len(table) > 1 else []


def _lines(table):
    widths = [max(len(cells[i]) for cells in table) for i in range(len(table[0]))]
    for cells in table:
        first, *rest = zip(cells, widths)
        yield "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def as_text(rows, results, environment):
    facts = environment.facts
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    absent = ", ".join(name for name, version in facts["versions"].items() if not version)
    table, counts = _main_table(rows, results)
    peers = _peer_table(rows, results)
    lines = [
        f"shoal {facts['shoal']}, CPython {facts['python']}, {facts['date']}",
        f"{facts['cpu']}, {facts['cpus']} CPUs, {facts['kernel']}; {versions}",
        f"load {facts['load_before']:.2f} before, {facts['load_after']:.2f} after; "
        f"{facts['other_cpus_busy']:.2f} CPUs busy with other things; "
        f"{facts['seconds']:.0f} s, {facts['rounds']} rounds",
        "Medians over the rounds; a ratio is the median of the rounds' ratios: how many times as fast as the baseline,",
        "which is multiprocessing, and for executors concurrent.futures.", "", *_lines(table), "",
        ", ".join(f"{what}: {count}" for what, count in counts.items())]
    if peers:
        lines += ["", "The others: how many times as fast as the baseline", *_lines(peers)]
    if absent:
        lines += ["", f"not installed: {absent}"]
    if results.remarks:
        lines += ["", "Left out:", *(f"{what}, {name}: {why}" for (what, name), why in results.remarks.items())]
    return "\n".join(lines)


def write_json(path, rows, results, environment):
    data = {"environment": environment.facts, "rows": []}
    for row in rows:
        ratios = results.ratios(row, row.ours)
        ratio = statistics.median(ratios) if ratios else None
        data["rows"].append({
            "group": row.group, "name": row.name, "target": row.target, "stretch": row.stretch,
            "baseline": row.baseline, "ours": row.ours, "ratio": ratio,
            "verdict": verdict(row, ratio) if ratio else "left out",
            "seconds": {name: results.get(row, name) for name in row.ways},
            "ratios": {name: results.ratios(row, name) for name in row.ways if name != row.baseline}})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")

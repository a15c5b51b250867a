"""chart.py - draw the results of the benchmark.

usage: chart.py RESULTS.JSON FOLDER

Writes throughput.png, latency.png and pool.png into the folder."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - the backend is chosen first
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

SHOAL = ["#0b3c5d", "#1d78b5", "#6db3e0", "#a9d3ee", "#cfe6f5"]
PEERS = {
    "pipe": "#b3541e",
    "unix stream": "#d9a441",
    "unix seqpacket": "#8a8d3b",
    "POSIX mq": "#9c4f6b",
    "Boost message_queue": "#5b5b5b",
    "ZeroMQ ipc": "#c0504d",
    "raw cache line": "#b9b9b9",
    "raw futex": "#8f8f8f",
}
OTHERS = "#9a9a9a"


class Results:
    """The medians of a results file, by group, column and contestant."""

    def __init__(self, path):
        self.data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.series = [it for it in self.data["results"] if it["median"] is not None]

    def contestants(self, group):
        """In the order of the tables."""
        return list(dict.fromkeys(it["contestant"] for it in self.series if it["group"] == group))

    def columns(self, group):
        return list(dict.fromkeys(it["column"] for it in self.series if it["group"] == group))

    def get(self, group, column, contestant):
        for it in self.series:
            if (it["group"], it["column"], it["contestant"]) == (group, column, contestant):
                return it
        return None

    def caption(self):
        here = self.data["environment"]
        return (f"{here['cpu']}, {here['cpus']:g} CPUs, {here['kernel']}; shoal {here['shoal']}; medians of "
                f"{self.data['settings']['repetitions']} interleaved repetitions")


def color_of(contestant, shoals):
    """Blues for shoal's ways, a colour of its own for each peer."""
    if contestant.startswith("shoal"):
        return SHOAL[min(shoals.index(contestant), len(SHOAL) - 1)]
    return PEERS.get(contestant, OTHERS)


def shoals_of(contestants):
    return [name for name in contestants if name.startswith("shoal")]


def count_label(value, _position=None):
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g}"


def time_label(value, _position=None):
    for scale, unit in ((1e6, "ms"), (1e3, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} ns"


def finish(figure, results, path):
    figure.text(0.01, 0.005, results.caption(), fontsize=7, color="#555555")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(path)


def bars(axes, names, values, shoals, label):
    """Horizontal bars, the first name on top, each with its value; on a logarithmic axis where they differ much."""
    places = range(len(names))
    axes.barh(places, values, color=[color_of(name, shoals) for name in names], height=0.72)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(max(len(names), 4) - 0.4, -0.6)
    if max(values) > 20 * min(values):
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 4, max(values) * 4)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, max(values) * 1.2)
    axes.xaxis.set_major_formatter(FuncFormatter(label))
    axes.tick_params(axis="x", labelsize=8)
    for place, value in zip(places, values):
        axes.annotate(label(value), (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw_throughput(results, path):
    """Messages a second by size: a panel for each number of producers and consumers, all pinned to two CPUs."""
    groups = [f"throughput {pairs} apart" for pairs in ("1:1", "2:2", "4:4")]
    groups = [name for name in groups if results.columns(name)]
    if not groups:
        return
    figure, panels = plt.subplots(1, len(groups), figsize=(5 * len(groups), 4.6), sharey=True, squeeze=False)
    for group, axes in zip(groups, panels[0]):
        columns, contestants = results.columns(group), results.contestants(group)
        for name in contestants:
            found = [(place, results.get(group, column, name)) for place, column in enumerate(columns)]
            places = [place for place, it in found if it]
            rates = [1e9 / it["median"] for _, it in found if it]
            ours = name.startswith("shoal")
            axes.plot(places, rates, marker="o" if ours else "s", markersize=5 if ours else 4,
                      linewidth=2.2 if ours else 1.3, color=color_of(name, shoals_of(contestants)), label=name,
                      zorder=3 if ours else 2)
        pairs = group.split()[1].split(":")[0]
        plural = "" if pairs == "1" else "s"
        axes.set_title(f"{pairs} producer{plural}, {pairs} consumer{plural}", fontsize=10)
        axes.set_yscale("log")
        axes.set_xticks(range(len(columns)), columns)
        axes.yaxis.set_major_formatter(FuncFormatter(count_label))
        axes.grid(axis="y", color="#e4e4e4")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("messages a second, on two CPUs")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=5, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.03, 1, 0.88))
    finish(figure, results, path)


def draw_panels(results, panels, path, width=6.2):
    """Panels of bars, two in a row; panels: (group, column, title, label)."""
    panels = [it for it in panels if any(results.get(it[0], it[1], name) for name in results.contestants(it[0]))]
    if not panels:
        return
    rows = (len(panels) + 1) // 2
    figure, places = plt.subplots(rows, 2, figsize=(2 * width, 3.1 * rows), squeeze=False)
    for axes in places.flat:
        axes.set_visible(False)
    for (group, column, title, label), axes in zip(panels, places.flat):
        contestants = results.contestants(group)
        shown = [name for name in contestants if results.get(group, column, name)]
        values = [results.get(group, column, name)["median"] for name in shown]
        axes.set_visible(True)
        bars(axes, shown, values, shoals_of(contestants), label)
        axes.set_title(title, fontsize=10)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    finish(figure, results, path)


def draw_pool(results, path):
    """Tasks a second, however they are submitted, and how soon a death is known."""
    pools, deaths = results.contestants("pool"), results.contestants("worker death")
    if not pools or not deaths:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.4, 4.2))
    pairs = [(column, name) for column in results.columns("pool") for name in pools
             if results.get("pool", column, name)]
    colors = {name: color_of(name, pools) for name in pools}
    rates = [1e9 / results.get("pool", column, name)["median"] for column, name in pairs]
    bars(left, [f"{column}{name.removeprefix('shoal pool')}" for column, name in pairs], rates, [], count_label)
    for bar, (_, name) in zip(left.patches, pairs):
        bar.set_color(colors[name])
    left.set_title("Worker pool: tasks a second", fontsize=10)
    values = [results.get("worker death", "median", name)["median"] for name in deaths]
    bars(right, deaths, values, shoals_of(deaths), time_label)
    right.set_title("A worker is killed: from SIGKILL to its report", fontsize=10)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    finish(figure, results, path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results, folder = Results(sys.argv[1]), pathlib.Path(sys.argv[2])
    draw_throughput(results, folder / "throughput.png")
    draw_panels(results, [
        ("round trip apart", "8 B", "Round trip, 8 B, on two CPUs", time_label),
        ("round trip asleep", "8 B", "Round trip, 8 B, on two CPUs, both asleep", time_label),
        ("round trip together", "8 B", "Round trip, 8 B, on one CPU", time_label),
        ("round trip apart", "1 MiB", "Round trip, 1 MiB, on two CPUs", time_label),
        ("lock", "alone", "Lock and unlock, alone", time_label),
        ("lock", "2 processes", "Lock and unlock, 2 processes on two CPUs", time_label),
    ], folder / "latency.png")
    draw_pool(results, folder / "pool.png")


main()

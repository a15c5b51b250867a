"""chart.py - draw the results of the Python package's benchmark.

usage: chart.py RESULTS.JSON PICTURE.PNG"""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - the backend is chosen first
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

OURS, MISSED = "#1d78b5", "#c0504d"
PEERS = {
    "billiard": ("s", "#8a8d3b"),
    "loky": ("^", "#b3541e"),
    "joblib": ("v", "#d9a441"),
    "pebble": ("D", "#9c4f6b"),
    "mpire": ("P", "#5b5b5b"),
    "faster-fifo": ("X", "#2d8a6e"),
}


def label_of(value, _position=None):
    return f"{value:.0f}x" if value >= 100 else f"{value:.3g}x"


def draw_row(axes, place, row):
    """The row's ratio with its spread, its targets, and those of the peers."""
    for name, ratios in row["ratios"].items():
        if name in PEERS and ratios:
            marker, color = PEERS[name]
            axes.plot(statistics.median(ratios), place, marker, color=color, markersize=5, alpha=0.85, zorder=2)
    for value, style in ((row["target"], "-"), (row["stretch"], ":")):
        if value:
            axes.plot([value, value], [place - 0.38, place + 0.38], style, color="#222222", linewidth=1.6, zorder=3)
    ratios = row["ratios"].get(row["ours"])
    if not ratios:
        axes.annotate("left out", (row["stretch"] or row["target"] or 1, place), xytext=(9, 0),
                      textcoords="offset points", va="center", fontsize=7, color="#777777")
        return
    color = MISSED if row["verdict"] == "missed" else OURS
    axes.plot([min(ratios), max(ratios)], [place, place], color=color, linewidth=2.5, alpha=0.45, zorder=4)
    axes.plot(row["ratio"], place, "o", color=color, markersize=8, zorder=5)
    axes.annotate(label_of(row["ratio"]), (max(ratios + [row["stretch"] or 0, row["target"] or 0]), place),
                  xytext=(9, 0), textcoords="offset points", va="center", fontsize=8, color=color)


def draw(data, path):
    rows = data["rows"]
    figure, axes = plt.subplots(figsize=(11, 0.34 * len(rows) + 1.8))
    for place, row in enumerate(rows):
        draw_row(axes, place, row)
        if place and row["group"] != rows[place - 1]["group"]:
            axes.axhline(place - 0.5, color="#dddddd", linewidth=0.8)
    axes.axvline(1, color="#999999", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(label_of))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="#e8e8e8")
    axes.set_axisbelow(True)
    axes.margins(x=0.09)
    axes.set_yticks(range(len(rows)), [f"{row['group']}: {row['name']}" for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title("Times as fast as the standard library on the same interpreter", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    names = {name for row in rows for name, ratios in row["ratios"].items() if ratios}
    legend = [Line2D([], [], marker="o", color=OURS, linewidth=2.5, label="shoal: median, and spread of the rounds"),
              Line2D([], [], marker="o", color=MISSED, linewidth=2.5, label="shoal, target missed"),
              Line2D([], [], color="#222222", label="target"),
              Line2D([], [], color="#222222", linestyle=":", label="stretch")]
    legend += [Line2D([], [], linestyle="", marker=marker, color=color, label=name)
               for name, (marker, color) in PEERS.items() if name in names]
    figure.legend(handles=legend, loc="upper center", ncol=5, frameon=False, fontsize=8,
                  bbox_to_anchor=(0.5, 0.045 + 0.6 / figure.get_figheight()))
    here = data["environment"]
    figure.text(0.01, 0.005, f"{here['cpu']}, {here['cpus']} CPUs, {here['kernel']}; shoal {here['shoal']}, CPython "
                f"{here['python']}; {here['rounds']} interleaved rounds", fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.045 + 0.6 / figure.get_figheight(), 1, 1))
    figure.savefig(path, dpi=120)
    print(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])

"""The picture: what each tool caught, what it cried wolf at, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.leakbench.score import ScoredRun, ToolScore, score

__all__ = ["draw"]

_CAUGHT, _ALARM, _UNSURE, _TIME = "#2a9d5c", "#d1495b", "#c9a227", "#3d6fb4"


def draw(runs: Sequence[ScoredRun], path: Path, title: str) -> None:
    """Write a PNG with one group of bars for each tool, and the times of its runs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = [score(tool, runs) for tool in dict.fromkeys(run.tool for run in runs)]
    figure, (shares, times) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
    _draw_shares(shares, rows)
    _draw_times(times, rows, runs)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_shares(axes: Any, rows: Sequence[ToolScore]) -> None:
    kinds = (
        ("leaks caught", _CAUGHT, [row.caught for row in rows]),
        ("false alarms", _ALARM, [row.false_alarms for row in rows]),
        ("no verdict", _UNSURE, [row.no_verdict for row in rows]),
    )
    for offset, (label, colour, pairs) in enumerate(kinds):
        heights = [100 * hits / total if total else 0 for hits, total in pairs]
        places = [n + (offset - 1) * 0.27 for n in range(len(rows))]
        bars = axes.bar(places, heights, 0.25, label=label, color=colour)
        axes.bar_label(bars, [f"{hits}/{total}" for hits, total in pairs], fontsize=7)
    axes.set_xticks(range(len(rows)), [row.tool for row in rows], fontsize=9)
    axes.set_ylim(0, 118)
    axes.set_ylabel("% of its runs")
    axes.legend(fontsize=7, ncols=3, loc="upper center", frameon=False)


def _draw_times(axes: Any, rows: Sequence[ToolScore], runs: Sequence[ScoredRun]) -> None:
    seconds = [sorted(run.seconds for run in runs if run.tool == row.tool) for row in rows]
    for place, values in enumerate(seconds):
        jitter = [place + 0.3 * ((7 * n) % 11 / 10 - 0.5) for n in range(len(values))]
        axes.scatter(jitter, values, s=8, alpha=0.5, color=_TIME, linewidths=0)
        axes.hlines(rows[place].median_seconds, place - 0.35, place + 0.35, color="black")
    axes.set_yscale("log")
    axes.set_xticks(range(len(rows)), [row.tool for row in rows], fontsize=8)
    axes.set_ylabel("seconds a run (bar: median)")

"""The table of probes as text."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from leak_suite.metrics import Metric
from leak_suite.render.string_console import StringConsole

__all__ = ["table"]


def table(probes: Iterable[Metric], *, width: int = 80) -> str:
    """Every probe with what it counts, how it is judged, from where, and what it cannot see."""
    grid = Table(box=None, padding=(0, 2, 1, 0), header_style="none", pad_edge=False)
    for heading in ("metric", "judged", "read from", "counts", "cannot see"):
        grid.add_column(heading, overflow="fold", no_wrap=heading == "metric")
    for probe in probes:
        grid.add_row(
            probe.name,
            "exactly" if probe.exact else "as a trend",
            _place(probe),
            f"{probe.description} ({probe.unit})",
            probe.blind_to,
        )
    terminal = StringConsole(width=width, colour=False)
    terminal.print(grid)
    return terminal.text().rstrip() + "\n"


def _place(probe: Metric) -> str:
    places = [name for name, can in (("inside", probe.inside), ("outside", probe.outside)) if can]
    return " and ".join(places)

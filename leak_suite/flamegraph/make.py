"""What the command makes: recordings, memray's pages of them, and pages of differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leak_suite.flamegraph.differential import differential_page
from leak_suite.flamegraph.record import (
    MODES,
    Mode,
    RecordingFile,
    file_name,
    page,
    record,
    recorded,
)
from leak_suite.flamegraph.stacks import (
    Difference,
    LineBytes,
    between,
    growth,
    sites,
    stacks_of_all,
)
from leak_suite.subject import Spec

__all__ = ["Made", "difference", "flamegraph"]


@dataclass(frozen=True)
class Made:
    """Pages by title, and the lines that hold (or gained) most, in `unit`."""

    pages: dict[str, Path]
    places: tuple[LineBytes, ...]
    unit: str


def flamegraph(
    spec: Spec,
    mode: str,
    folder: Path,
    *,
    iterations: int,
    native: bool = False,
    max_seconds: float = 120.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Made:
    """Record the workload once and draw it; each process that is recorded gets a page.

    For "growth" record n and 2n iterations in two fresh interpreters: what grew is what leaks.
    """
    name = file_name(str(spec), mode)

    def recording(of: Mode, file: str, number: int) -> RecordingFile:
        on_progress(f"recording {number} iterations")
        return record(
            spec, of, folder / file, iterations=number, native=native, max_seconds=max_seconds
        )

    if mode == "growth":
        runs = [recording(MODES["leaks"], f"{name}-{n}n.bin", n * iterations) for n in (1, 2)]
        on_progress("drawing")
        return _of_difference(growth(*runs), folder / f"{name}.html")
    run = recording(MODES[mode], f"{name}.bin", iterations)
    on_progress("drawing")
    return _of_recording(run)


def difference(base: Path, head: Path, folder: Path) -> Made:
    """The difference of two recordings that lie on disk."""
    one, other = recorded(base), recorded(head)
    return _of_difference(between(one, other), folder / f"{base.stem}-against-{head.stem}.html")


def _of_recording(run: RecordingFile) -> Made:
    pages = {title: page(file, MODES[run.mode]) for title, file in run.pages()}
    return Made(pages, sites(stacks_of_all(run)), "bytes")


def _of_difference(found: Difference, output: Path) -> Made:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(differential_page(found), encoding="utf-8")
    return Made({found.title: output}, found.grown(10), found.unit)

"""What the command makes: recordings, memray's pages of them, and pages of differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leak_suite.flamegraph.differential import differential_page
from leak_suite.flamegraph.record import MODES, Recording, file_name, page, record, recorded
from leak_suite.flamegraph.stacks import Difference, Place, between, growth, sites, stacks
from leak_suite.subject import Spec

__all__ = ["Made", "difference", "flamegraph", "growth_flamegraph"]

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """Pages by title, and the lines that hold (or gained) most, in `unit`."""

    pages: dict[str, Path]
    places: tuple[Place, ...]
    unit: str


def flamegraph(
    spec: Spec,
    mode: str,
    folder: Path,
    *,
    iterations: int,
    native: bool = False,
    max_seconds: float = 120.0,
    tell: Tell = lambda _: None,
) -> Made:
    """Record the workload once and draw it; worker processes that opted in each get a page."""
    chosen = MODES[mode]
    output = folder / f"{file_name(str(spec), mode)}.bin"
    tell(f"recording {iterations} iterations")
    recording = record(
        spec, chosen, output, iterations=iterations, native=native, max_seconds=max_seconds
    )
    tell("drawing")
    pages = {recording.title: page(output, chosen)}
    found = stacks(recording)
    for number, worker in enumerate(recording.workers, 1):
        pages[f"{recording.title}, worker {number}"] = page(worker, chosen)
        for stack, size in stacks(recording, worker).items():
            found[stack] = found.get(stack, 0.0) + size
    return Made(pages, sites(found), "bytes")


def growth_flamegraph(
    spec: Spec,
    folder: Path,
    *,
    iterations: int,
    native: bool = False,
    max_seconds: float = 120.0,
    tell: Tell = lambda _: None,
) -> Made:
    """Record n and 2n iterations in two fresh interpreters: what grew is what leaks."""
    runs: list[Recording] = []
    name = file_name(str(spec), "growth")
    for number in (iterations, 2 * iterations):
        tell(f"recording {number} iterations")
        output = folder / f"{name}-{len(runs) + 1}n.bin"
        runs.append(
            record(
                spec, MODES["leaks"], output, iterations=number, native=native,
                max_seconds=max_seconds,
            )
        )  # fmt: skip
    tell("drawing")
    found = growth(*runs)
    return _made(found, folder / f"{name}.html")


def difference(base: Path, head: Path, folder: Path) -> Made:
    """The difference of two recordings that lie on disk."""
    one, other = recorded(base), recorded(head)
    return _made(between(one, other), folder / f"{base.stem}-against-{head.stem}.html")


def _made(found: Difference, output: Path) -> Made:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(differential_page(found), encoding="utf-8")
    return Made({found.title: output}, found.grown(10), found.unit)

"""The pipeline against the same work bare, side by side: `python -m benchmarks pipeline`.

Machines differ and are noisy, so nothing is asked in seconds: every bar is on the median of
ratios between runs that were made one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.pipeline_report import ROOT, Measured, markdown, run, write
from fixtures.clips import clip

#: Runs of each paired variant; the slow old designs run once.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PAIRED = ("decode+pose (OpenCV)", "decode+pose", "floor")
ONCE = ("batch", "all frames")

PEAK_BAR, CPU_BAR, WALL_BAR = 1.12, 1.2, 1.15

MIB = 1024 * 1024
CLIPS = {"720p": (1280, 720, 6 * MIB), "1080p": (1920, 1080, 29 * MIB)}

Bars = dict[str, tuple[float, float]]


@pytest.fixture(scope="module")
def results() -> Iterator[list[tuple[Measured, Bars]]]:
    """What was measured, kept when all clips are through."""
    collected: list[tuple[Measured, Bars]] = []
    yield collected
    write(ROOT / "reports" / "out", collected)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CLIPS)
def test_streaming_costs_little_more_than_the_work_itself(
    name: str, benchmark: BenchmarkFixture, results: list[tuple[Measured, Bars]]
) -> None:
    width, height, size = CLIPS[name]
    path = clip(width=width, height=height, seconds=10.0, target_bytes=size).path
    measured = Measured(f"{name}, 10 s, H.264, {size // MIB} MiB", {})
    interleave(measured, path, benchmark)
    for variant in ONCE:
        measured.runs[variant] = [run(variant, path)]

    bars = {
        "peak, to decode+pose": (measured.ratio("peak_mib", "streaming", PAIRED[1]), PEAK_BAR),
        "peak, to decode+pose (OpenCV)": (
            measured.ratio("peak_mib", "streaming", PAIRED[0]),
            PEAK_BAR,
        ),
        "CPU, to the floor": (measured.ratio("cpu_s", "streaming", "floor"), CPU_BAR),
        "wall, to the floor": (measured.ratio("wall_s", "streaming", "floor"), WALL_BAR),
    }
    results.append((measured, bars))
    benchmark.extra_info.update({what: round(value, 3) for what, (value, _) in bars.items()})
    print("\n" + markdown(measured, bars))
    over = [f"{what}: {value:.3f} > {bar}" for what, (value, bar) in bars.items() if value > bar]
    assert not over, over


def interleave(measured: Measured, path: Path, benchmark: BenchmarkFixture) -> None:
    """Time streaming with the benchmark, and before each of its runs everything it is held to."""

    def others() -> None:
        for variant in PAIRED:
            measured.runs.setdefault(variant, []).append(run(variant, path))

    def ours() -> None:
        measured.runs.setdefault("streaming", []).append(run("streaming", path))

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        ours, setup=others, rounds=ROUNDS, iterations=1
    )

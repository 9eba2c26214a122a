"""Measure how often the verdict errs, on made-up series; write the table and picture of the docs.

    python -m benchmarks.verdict_power [--runs 300] [--leaky 100] [--seed 1] [--write | --noise]

Every run is judged as the runner does it: after each round, with the workload seconds so far,
until the verdict is in or the budget is spent. Nothing is measured here but the judging. Each kind
is printed when it is done, with the seed of every error, so that a run that is cut leaves figures.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.proportions import wilson
from benchmarks.verdict_picture import draw
from benchmarks.verdict_series import BEYOND, CLEAN, LEAKS, Kind, Random, Value, linear, plus, white
from leak_suite.metrics import metric_named
from leak_suite.result import Outcome, Series
from leak_suite.runner.runner import ROUND_JITTER, ROUND_SECONDS, ROUND_SHARE
from leak_suite.verdict import Tolerance, judge

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "verdicts.md"
PICTURE = ROOT / "docs" / "img" / "verdict_power.png"
BUDGET_SECONDS = 30.0


def _tolerance(name: str) -> Tolerance:
    """What the gate allows the metric where no option says otherwise."""
    metric = metric_named(name)
    return Tolerance(exact=metric.exact, unit=metric.unit, min_rate=metric.min_rate)


TOLERANCES = {name: _tolerance(name) for name in ("heap", "blocks", "fds")}


@dataclass(frozen=True)
class SimulatedRun:
    """What one simulated run came to."""

    outcome: Outcome
    seconds: float
    seed: int
    #: What the finding says that it would have seen, per iteration.
    detectable: float | None


def rounds(milliseconds: float, random: Random) -> Iterator[tuple[int, float, bool]]:
    """(iterations, seconds, last) after each round, as long as the runner makes them."""
    n, seconds = 0, 0.0
    while seconds < BUDGET_SECONDS:
        usual = max(ROUND_SECONDS, ROUND_SHARE * seconds)
        length = usual * random.uniform(1 - ROUND_JITTER, 1 + ROUND_JITTER)
        count = max(1, int(length * 1000 / milliseconds))
        n, seconds = n + count, seconds + count * milliseconds / 1000
        yield n, seconds, seconds >= BUDGET_SECONDS


def simulate(kind: Kind, seed: int) -> SimulatedRun:
    """One run of one kind, judged as it goes."""
    random = np.random.default_rng(seed)
    low, high = (math.log(x) for x in kind.milliseconds)
    milliseconds = math.exp(random.uniform(low, high))
    value = kind.make(random)
    samples: list[tuple[int, float | None]] = [(0, value(0))]
    tolerance = TOLERANCES[kind.metric]
    for n, seconds, last in rounds(milliseconds, random):
        samples.append((n, value(n)))
        series = Series(kind.metric, tolerance.unit, tuple(samples))
        finding = judge(series, tolerance, final=last, seconds=seconds)
        if finding is not None:
            return SimulatedRun(finding.outcome, seconds, seed, finding.detectable_rate)
    raise AssertionError("a final look always answers")


# --- counting -------------------------------------------------------------------------------


def many(index: int, leaks: bool, runs: int, seed: int) -> list[SimulatedRun]:
    kind = (LEAKS if leaks else CLEAN)[index]
    return [simulate(kind, seed * 1_000_003 + 7919 * index + k) for k in range(runs)]


def row(kind: Kind, results: list[SimulatedRun]) -> str:
    runs = len(results)
    grows = sum(r.outcome is Outcome.GROWING for r in results)
    open_ones = sum(r.outcome is Outcome.INCONCLUSIVE for r in results)
    seconds = sorted(r.seconds for r in results)
    low, high = wilson(grows, runs)
    share = f"{100 * grows / runs:.2f}% ({100 * low:.2f}-{100 * high:.2f})"
    late = seconds[int(0.95 * (runs - 1))]
    return (
        f"| {kind.name} | {kind.metric} | {share} | {100 * open_ones / runs:.1f}% "
        f"| {median(seconds):.2f} | {late:.1f} |"
    )


def errors(leaks: bool, results: list[SimulatedRun]) -> str:
    """The seeds of the runs that came to a wrong verdict, empty where there are none."""
    wrong = [r for r in results if (r.outcome is Outcome.GROWING) is not leaks]
    return "".join(f"\n  wrong: seed {r.seed}, {r.outcome.value}" for r in wrong)


def table(results: dict[tuple[bool, int], list[SimulatedRun]], leaks: bool) -> list[str]:
    word = "caught" if leaks else "false alarms"
    kinds = LEAKS if leaks else CLEAN
    lines = [
        f"| {'leak' if leaks else 'clean series'} | metric | {word} (95%) | inconclusive "
        "| median s | 95% s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(kind, results[leaks, index]) for index, kind in enumerate(kinds)]
    everything = [run for index in range(len(kinds)) for run in results[leaks, index]]
    lines.append(row(Kind("**all**", "", BEYOND.make), everything))
    return lines


# --- power against size ---------------------------------------------------------------------

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
LEVELS = {"no noise": 0.0, "10 KB": 1e4, "100 KB": 1e5, "350 KB (threads)": 3.5e5}
RARITIES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)
SPEEDS = {"0.01 ms a call": 0.01, "0.5 ms a call": 0.5}


def caught(kind: Kind, runs: int, seed: int) -> float:
    outcomes = [simulate(kind, seed * 1_000_003 + k).outcome for k in range(runs)]
    return sum(outcome is Outcome.GROWING for outcome in outcomes) / runs


def noisy_leak(size: float, deviation: float) -> Kind:
    return Kind("", "heap", lambda r: plus(linear(size)(r), white(r, deviation)), (0.3, 0.3))


def rare_leak(every: float, milliseconds: float) -> Kind:
    def make(random: Random) -> Value:
        phase = random.uniform(0, every)
        return lambda n: (n + phase) // every

    return Kind("", "fds", make, (milliseconds, milliseconds))


def power_by_size(name: str, runs: int, seed: int) -> dict[float, float]:
    return {size: caught(noisy_leak(size, LEVELS[name]), runs, seed) for size in SIZES}


def power_by_rarity(name: str, runs: int, seed: int) -> dict[float, float]:
    return {every: caught(rare_leak(every, SPEEDS[name]), runs, seed) for every in RARITIES}


# --- leaks in noise -------------------------------------------------------------------------

NOISE_KINDS = [
    (speed, deviation)
    for speed in ((0.05, 0.3), (0.3, 2.0), (2.0, 10.0))
    for deviation in (1e4, 1e5, 3.5e5)
]
NOISE_HEAD = (
    "| ms an iteration | noise | 16 B caught | 64 B caught | missed, though said to be seen "
    "| stable after, s (95%) |\n| --- | --- | --- | --- | --- | --- |"
)


def noise_row(speed: tuple[float, float], deviation: float, runs: int, seed: int) -> str:
    """Leaks of 16 and 64 B, and none, in white noise on the heap."""
    results = {}
    for size in (0, 16, 64):
        kind = replace(noisy_leak(size, deviation), milliseconds=speed)
        results[size] = [simulate(kind, seed * 1_000_003 + k) for k in range(runs)]
    caught = {
        size: sum(run.outcome is Outcome.GROWING for run in ended) / runs
        for size, ended in results.items()
    }
    silent = sum(
        run.outcome is Outcome.STABLE and (run.detectable or 0) <= size
        for size in (16, 64)
        for run in results[size]
    )
    seconds = sorted(run.seconds for run in results[0])
    return (
        f"| {speed[0]:g} to {speed[1]:g} | {deviation / 1000:g} KB | {caught[16]:.0%} "
        f"| {caught[64]:.0%} | {silent} of {2 * runs} "
        f"| {median(seconds):.1f} ({seconds[int(0.95 * (runs - 1))]:.1f}) |"
    )


def write(name: str, lines: list[str]) -> None:
    """Put lines between the markers of `name` in the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    body = "\n".join(lines)
    PAGE.write_text(f"{head}{begin}\n{body}\n{end}{tail}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=300, help="runs of each kind")
    parser.add_argument("--leaky", type=int, help="of each kind of leak, if not as many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="only kinds whose name contains this")
    parser.add_argument("--noise", action="store_true", help="only leaks in noise, as a table")
    parser.add_argument("--write", action="store_true", help="write docs/verdicts.md and picture")
    given = parser.parse_args()
    leaky = given.runs if given.leaky is None else given.leaky
    if given.noise:
        print(NOISE_HEAD, flush=True)
        with ProcessPoolExecutor(given.processes) as pool:
            speeds, noises = zip(*NOISE_KINDS, strict=True)
            rest = [repeat(given.runs), repeat(given.seed)]
            for line in pool.map(noise_row, speeds, noises, *rest):
                print(line, flush=True)
        return
    with ProcessPoolExecutor(given.processes) as pool:
        jobs = {
            (leaks, index): pool.submit(
                many, index, leaks, leaky if leaks else given.runs, given.seed
            )
            for leaks in (False, True)
            for index, kind in enumerate(LEAKS if leaks else CLEAN)
            if given.only in kind.name
        }
        results = {}
        for (leaks, index), job in jobs.items():
            results[leaks, index] = job.result()
            kind = (LEAKS if leaks else CLEAN)[index]
            print(row(kind, job.result()) + errors(leaks, job.result()), flush=True)
        if given.only:
            return
        clean, leaking = table(results, False), table(results, True)
        beyond = [simulate(BEYOND, given.seed * 1_000_003 + k) for k in range(given.runs)]
        clean.append(row(Kind(f"not counted: {BEYOND.name}", "heap", BEYOND.make), beyond))
        note = [
            f"Seed {given.seed}, {given.runs} runs of each clean kind, {leaky} of each leak.",
            "",
        ]
        print("", *note, *clean, "", *leaking, sep="\n")
        if given.write:
            few = max(20, given.runs // 5)
            sizes = {name: pool.submit(power_by_size, name, few, given.seed) for name in LEVELS}
            rare = {name: pool.submit(power_by_rarity, name, few, given.seed) for name in SPEEDS}
            draw(
                PICTURE,
                {name: job.result() for name, job in sizes.items()},
                {name: job.result() for name, job in rare.items()},
                f"Share of leaks caught (budget {BUDGET_SECONDS:g} s of workload)",
            )
            write("rates", [*note, *clean, "", *leaking])


if __name__ == "__main__":
    main()

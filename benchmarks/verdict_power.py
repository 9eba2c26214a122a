"""Measure how often the verdict errs, on made-up series; write the table and picture of the docs.

    python benchmarks/verdict_power.py [--runs 300] [--seed 1] [--write]

Every run is judged as the runner does it: after each round, with the workload seconds so far,
until the verdict is in or the budget is spent. Nothing is measured here but the judging.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from leak_suite.result import Outcome, Series
from leak_suite.verdict import Tolerance, judge

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "verdicts.md"
PICTURE = ROOT / "docs" / "img" / "verdict_power.png"
BUDGET_SECONDS = 30.0

TOLERANCES = {
    "heap": Tolerance(exact=False, unit="bytes", floor=2.0),
    "blocks": Tolerance(exact=False, unit="blocks", floor=0.02),
    "fds": Tolerance(exact=True, unit="descriptors"),
}

Random = np.random.Generator
Path1 = Callable[[float], float]
Maker = Callable[[Random], Path1]


@dataclass(frozen=True)
class Kind:
    """A kind of series: its metric, how one is made from random numbers, and a speed range."""

    name: str
    metric: str
    make: Maker
    leaks: bool = False
    milliseconds: tuple[float, float] = (0.001, 2.0)


@dataclass(frozen=True)
class Run:
    """What one simulated run came to."""

    outcome: Outcome
    seconds: float


def rounds(milliseconds: float, random: Random) -> Iterator[tuple[int, float, bool]]:
    """(iterations, seconds, last) after each round: 60 ms at least, then 8% of what went before."""
    n, seconds = 0, 0.0
    while seconds < BUDGET_SECONDS:
        length = max(0.06, 0.08 * seconds) * random.uniform(0.9, 1.1)
        count = max(1, int(length * 1000 / milliseconds))
        n, seconds = n + count, seconds + count * milliseconds / 1000
        yield n, seconds, seconds >= BUDGET_SECONDS


def simulate(kind: Kind, seed: int) -> Run:
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
            return Run(finding.outcome, seconds)
    raise AssertionError("a final look always answers")


# --- noise, over readings -------------------------------------------------------------------


def white(random: Random, deviation: float) -> Path1:
    return lambda _: float(random.normal(0, deviation))


def wander(random: Random, deviation: float, memory: float) -> Path1:
    """An AR(1) wander that forgets within `memory` iterations."""
    state = [0.0, float(random.normal(0, deviation))]

    def value(n: float) -> float:
        kept = math.exp(-max(0.0, n - state[0]) / memory)
        shock = random.normal(0, deviation * math.sqrt(1 - kept * kept))
        state[:] = [n, state[1] * kept + float(shock)]
        return state[1]

    return value


def reflected_walk(random: Random, width: float, crossing: float) -> Path1:
    """A random walk between two walls, `crossing` iterations apart."""
    state = [0.0, float(random.uniform(0, width))]

    def value(n: float) -> float:
        step = random.normal(0, width * math.sqrt(max(0.0, n - state[0]) / crossing))
        folded = (state[1] + float(step)) % (2 * width)
        state[:] = [n, min(folded, 2 * width - folded)]
        return state[1]

    return value


def log_uniform(random: Random, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


def plus(*parts: Path1) -> Path1:
    return lambda n: sum(part(n) for part in parts)


# --- clean kinds ----------------------------------------------------------------------------


def _ramp_then_flat(random: Random, low: float = 10, high: float = 12_000) -> Path1:
    entries, size = log_uniform(random, low, high), log_uniform(random, 64, 3_000)
    return lambda n: size * min(n, entries)


def _random_keys(random: Random) -> Path1:
    keys, size = log_uniform(random, 100, 10_000), log_uniform(random, 64, 3_000)
    return lambda n: size * keys * (1 - math.exp(-n / keys))


def _drift(random: Random) -> Path1:
    rate, fade = random.uniform(50, 400), log_uniform(random, 2_000, 15_000)
    return lambda n: rate * fade * (1 - math.exp(-n / fade))


def _buffers(random: Random) -> Path1:
    """Free buffers of many sizes, kept once made: the rarer a size, the later (NumPy's cache)."""
    count = int(log_uniform(random, 500, 5_000))
    chances = 1 / np.arange(1, count + 1)
    made = np.sort(random.exponential(chances.sum() / chances / log_uniform(random, 0.1, 10)))
    kept = np.cumsum(random.integers(64, 1_025, count))
    return lambda n: float(kept[np.searchsorted(made, n) - 1]) if n >= made[0] else 0.0


def _steps(random: Random) -> Path1:
    at = [log_uniform(random, 10, 100_000) for _ in range(random.integers(1, 4))]
    height = log_uniform(random, 4_096, 2**21)
    return lambda n: height * sum(n >= each for each in at)


def _saw(random: Random, low: float, high: float) -> Path1:
    period, height = log_uniform(random, low, high), log_uniform(random, 2**14, 2**24)
    phase = random.uniform(0, period)
    return lambda n: height * ((n + phase) % period) / period


def _pool(random: Random) -> Path1:
    every, size = random.integers(1, 51), random.integers(1, 101)
    return lambda n: float(min(n // every, size))


def _join_race(random: Random) -> Path1:
    return lambda _: 4.0 + float(random.random() < 0.2)


def _busy_handles(random: Random) -> Path1:
    level = random.integers(3, 40)
    return lambda _: float(random.poisson(level))


CLEAN = (
    Kind("constant", "heap", lambda _: lambda _: 5e6),
    Kind("white noise, 350 KB", "heap", lambda r: white(r, 3.5e5), milliseconds=(0.1, 2)),
    Kind("wander that forgets slowly", "heap", lambda r: wander(r, 3e5, log_uniform(r, 50, 5e3))),
    Kind(
        "random walk between walls",
        "heap",
        lambda r: reflected_walk(r, 2e6, log_uniform(r, 1e3, 1e6)),
    ),
    Kind(
        "cache that fills within 10 s, 10 to 12,000 entries",
        "heap",
        _ramp_then_flat,
        milliseconds=(0.001, 0.8),
    ),
    Kind(
        "the same in white noise",
        "heap",
        lambda r: plus(_ramp_then_flat(r), white(r, log_uniform(r, 100, 1e5))),
        milliseconds=(0.001, 0.8),
    ),
    Kind("cache that fills by random keys", "heap", _random_keys),
    Kind("drift that fades", "heap", _drift, milliseconds=(0.02, 2)),
    Kind("buffers of many sizes", "heap", _buffers, milliseconds=(0.01, 0.2)),
    Kind("one to three late steps", "heap", _steps),
    Kind("short saw-tooth", "heap", lambda r: _saw(r, 20, 2_000)),
    Kind("long saw-tooth", "heap", lambda r: _saw(r, 2_000, 10_000)),
    Kind("slow job, white noise 4 KB", "heap", lambda r: white(r, 4e3), milliseconds=(100, 3000)),
    Kind("constant", "fds", lambda _: lambda _: 4.0),
    Kind("pool that fills, up to 100", "fds", _pool),
    Kind("join race", "fds", _join_race),
    Kind("handles in use vary", "fds", _busy_handles),
)

# Clean too, but taken for leaks on purpose: nothing tells them apart while they fill.
BEYOND = Kind(
    "cache that fills for 10 to 30 s",
    "heap",
    lambda r: _ramp_then_flat(r, 10_000, 15_000),
    milliseconds=(1, 2),
)


# --- leaks ----------------------------------------------------------------------------------


def _linear(rate: float) -> Maker:
    return lambda _: lambda n: rate * n


def _jumps(random: Random) -> Path1:
    period, phase = random.uniform(500, 1_500), random.uniform(0, 1_000)
    return lambda n: 2.0**20 * ((n + phase) // period)


def _late(random: Random) -> Path1:
    start, rate = random.uniform(100, 4_000), log_uniform(random, 64, 4_096)
    return lambda n: rate * max(0.0, n - start)


def _hidden(random: Random) -> Path1:
    rate = log_uniform(random, 64, 4_096)
    return plus(_ramp_then_flat(random), lambda n: rate * n)


def _one_in(random: Random) -> Path1:
    every = log_uniform(random, 1, 1_000)
    return lambda n: 4.0 + n // every


def _now_and_then(random: Random) -> Path1:
    chance, state = 1 / log_uniform(random, 1, 1_000), [0.0, 0.0]

    def value(n: float) -> float:
        new = random.binomial(int(n - state[0]), chance) if n > state[0] else 0
        state[:] = [n, state[1] + new]
        return state[1]

    return value


def _growing_list(random: Random) -> Path1:
    start = random.uniform(50, 2_000)
    return lambda n: 8 * 1.125 ** math.floor(math.log(n + start, 1.125))


FAST = (0.001, 0.1)
LEAKS = (
    Kind("linear, 5 B", "heap", _linear(5), True, FAST),
    Kind("linear, 64 B", "heap", _linear(64), True),
    Kind("linear, 100 KiB", "heap", _linear(102_400), True),
    Kind("linear, 1 MiB, slow job", "heap", _linear(2.0**20), True, (100, 3000)),
    Kind("1 MiB in 500 to 1,500 iterations", "heap", _jumps, True),
    Kind("late start, from 64 B", "heap", _late, True),
    Kind("under a filling cache, from 64 B", "heap", _hidden, True),
    Kind("a list that grows", "heap", _growing_list, True, FAST),
    Kind("64 B in noise of 10 KB", "heap", lambda r: plus(_linear(64)(r), white(r, 1e4)), True),
    Kind("1 block", "blocks", lambda r: plus(_linear(1)(r), white(r, 30)), True),
    Kind("one in 1 to 1,000, regular", "fds", _one_in, True),
    Kind("one in 1 to 1,000, at random", "fds", _now_and_then, True),
    Kind("one a call, slow job", "fds", _linear(1), True, (100, 3000)),
    Kind("one in 1 to 100, handles vary", "fds", lambda r: plus(_busy(r), _often(r)), True),
)


def _busy(random: Random) -> Path1:
    return lambda _: float(random.poisson(5))


def _often(random: Random) -> Path1:
    every = log_uniform(random, 1, 100)
    return lambda n: n // every


# --- counting -------------------------------------------------------------------------------


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """The 95% interval of a proportion (Wilson 1927)."""
    z, share = 1.96, hits / runs
    middle = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    reach = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    reach /= 1 + z * z / runs
    return max(0.0, middle - reach), min(1.0, middle + reach)


def many(index: int, leaks: bool, runs: int, seed: int) -> list[Run]:
    kind = (LEAKS if leaks else CLEAN)[index]
    return [simulate(kind, seed * 1_000_003 + 7919 * index + k) for k in range(runs)]


def row(kind: Kind, results: list[Run]) -> str:
    runs = len(results)
    grows = sum(r.outcome is Outcome.GROWING for r in results)
    open_ones = sum(r.outcome is Outcome.INCONCLUSIVE for r in results)
    seconds = sorted(r.seconds for r in results)
    low, high = wilson(grows, runs)
    share = f"{100 * grows / runs:.1f}% ({100 * low:.1f}-{100 * high:.1f})"
    late = seconds[int(0.95 * (runs - 1))]
    return (
        f"| {kind.name} | {kind.metric} | {share} | {100 * open_ones / runs:.1f}% "
        f"| {median(seconds):.2f} | {late:.1f} |"
    )


def table(results: dict[tuple[bool, int], list[Run]], leaks: bool) -> list[str]:
    word = "caught" if leaks else "false alarms"
    kinds = LEAKS if leaks else CLEAN
    lines = [
        f"| {'leak' if leaks else 'clean series'} | metric | {word} (95%) | inconclusive "
        "| median s | 95% s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(kind, results[leaks, index]) for index, kind in enumerate(kinds)]
    everything = [run for index in range(len(kinds)) for run in results[leaks, index]]
    lines.append(row(Kind("**all**", "", _steps), everything))
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
    return Kind("", "heap", lambda r: plus(_linear(size)(r), white(r, deviation)), True, (0.3, 0.3))


def rare_leak(every: float, milliseconds: float) -> Kind:
    def make(random: Random) -> Path1:
        phase = random.uniform(0, every)
        return lambda n: (n + phase) // every

    return Kind("", "fds", make, True, (milliseconds, milliseconds))


def power_by_size(name: str, runs: int, seed: int) -> list[float]:
    return [caught(noisy_leak(size, LEVELS[name]), runs, seed) for size in SIZES]


def power_by_rarity(name: str, runs: int, seed: int) -> list[float]:
    return [caught(rare_leak(every, SPEEDS[name]), runs, seed) for every in RARITIES]


def draw(by_size: dict[str, list[float]], by_rarity: dict[str, list[float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    for name, shares in by_size.items():
        left.plot(SIZES, [100 * s for s in shares], marker="o", label=name)
    left.set_xscale("log", base=2)
    left.set(xlabel="heap leak, bytes per iteration (0.3 ms a call)", ylabel="caught, %")
    for name, shares in by_rarity.items():
        right.plot(RARITIES, [100 * s for s in shares], marker="o", label=name)
    right.set_xscale("log")
    right.set(xlabel="iterations per leaked descriptor")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"Share of leaks caught (budget {BUDGET_SECONDS:g} s of workload)")
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="only kinds whose name contains this")
    parser.add_argument("--write", action="store_true", help="write docs/verdicts.md and picture")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.processes) as pool:
        jobs = {
            (leaks, index): pool.submit(many, index, leaks, given.runs, given.seed)
            for leaks in (False, True)
            for index, kind in enumerate(LEAKS if leaks else CLEAN)
            if given.only in kind.name
        }
        if given.only:
            for (leaks, index), job in jobs.items():
                print(row((LEAKS if leaks else CLEAN)[index], job.result()))
            return
        results = {key: job.result() for key, job in jobs.items()}
        clean, leaky = table(results, False), table(results, True)
        beyond = [simulate(BEYOND, given.seed * 1_000_003 + k) for k in range(given.runs)]
        clean.append(row(Kind(f"not counted: {BEYOND.name}", "heap", BEYOND.make), beyond))
        print(f"seed {given.seed}, {given.runs} runs of each kind", *clean, "", *leaky, sep="\n")
        if given.write:
            few = max(20, given.runs // 5)
            sizes = {name: pool.submit(power_by_size, name, few, given.seed) for name in LEVELS}
            rare = {name: pool.submit(power_by_rarity, name, few, given.seed) for name in SPEEDS}
            draw(
                {name: job.result() for name, job in sizes.items()},
                {name: job.result() for name, job in rare.items()},
            )
            note = [f"Seed {given.seed}, {given.runs} runs of each kind.", ""]
            write("rates", [*note, *clean, "", *leaky])


if __name__ == "__main__":
    main()

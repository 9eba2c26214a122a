"""Made-up series: how clean code and leaks move a metric, and what noise lies over it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["BEYOND", "CLEAN", "LEAKS", "Kind", "Random", "Value", "linear", "plus", "white"]

Random = np.random.Generator
Value = Callable[[float], float]
Maker = Callable[[Random], Value]


@dataclass(frozen=True)
class Kind:
    """A kind of series: its metric, how one is made from random numbers, and a speed range."""

    name: str
    metric: str
    make: Maker
    milliseconds: tuple[float, float] = (0.001, 2.0)


def white(random: Random, deviation: float) -> Value:
    return lambda _: float(random.normal(0, deviation))


def wander(random: Random, deviation: float, memory: float) -> Value:
    """An AR(1) wander that forgets within `memory` iterations."""
    state = [0.0, float(random.normal(0, deviation))]

    def value(n: float) -> float:
        kept = math.exp(-max(0.0, n - state[0]) / memory)
        shock = random.normal(0, deviation * math.sqrt(1 - kept * kept))
        state[:] = [n, state[1] * kept + float(shock)]
        return state[1]

    return value


def reflected_walk(random: Random, width: float, crossing: float) -> Value:
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


def plus(*parts: Value) -> Value:
    return lambda n: sum(part(n) for part in parts)


# --- clean kinds ----------------------------------------------------------------------------


def _ramp_then_flat(random: Random, low: float = 10, high: float = 12_000) -> Value:
    entries, size = log_uniform(random, low, high), log_uniform(random, 64, 3_000)
    return lambda n: size * min(n, entries)


def _random_keys(random: Random) -> Value:
    keys, size = log_uniform(random, 100, 10_000), log_uniform(random, 64, 3_000)
    return lambda n: size * keys * (1 - math.exp(-n / keys))


def _drift(random: Random) -> Value:
    rate, fade = random.uniform(50, 400), log_uniform(random, 2_000, 15_000)
    return lambda n: rate * fade * (1 - math.exp(-n / fade))


def _buffers(random: Random) -> Value:
    """Free buffers of many sizes, kept once made: the rarer a size, the later (NumPy's cache)."""
    count = int(log_uniform(random, 500, 5_000))
    chances = 1 / np.arange(1, count + 1)
    made = np.sort(random.exponential(chances.sum() / chances / log_uniform(random, 0.1, 10)))
    kept = np.cumsum(random.integers(64, 1_025, count))
    return lambda n: float(kept[np.searchsorted(made, n) - 1]) if n >= made[0] else 0.0


def _steps(random: Random) -> Value:
    at = [log_uniform(random, 10, 100_000) for _ in range(random.integers(1, 4))]
    height = log_uniform(random, 4_096, 2**21)
    return lambda n: height * sum(n >= each for each in at)


def _saw(random: Random, low: float, high: float) -> Value:
    period, height = log_uniform(random, low, high), log_uniform(random, 2**14, 2**24)
    phase = random.uniform(0, period)
    return lambda n: height * ((n + phase) % period) / period


def _pool(random: Random) -> Value:
    every, size = random.integers(1, 51), random.integers(1, 101)
    return lambda n: float(min(n // every, size))


def _join_race(random: Random) -> Value:
    return lambda _: 4.0 + float(random.random() < 0.2)


def _busy_handles(random: Random) -> Value:
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
    Kind("drift that decays", "heap", _drift, milliseconds=(0.02, 2)),
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


def linear(rate: float) -> Maker:
    return lambda _: lambda n: rate * n


def _jumps(random: Random) -> Value:
    period, phase = random.uniform(500, 1_500), random.uniform(0, 1_000)
    return lambda n: 2.0**20 * ((n + phase) // period)


def _late(random: Random) -> Value:
    start, rate = random.uniform(100, 4_000), log_uniform(random, 64, 4_096)
    return lambda n: rate * max(0.0, n - start)


def _hidden(random: Random) -> Value:
    rate = log_uniform(random, 64, 4_096)
    return plus(_ramp_then_flat(random), lambda n: rate * n)


def _one_in(random: Random) -> Value:
    every = log_uniform(random, 1, 1_000)
    return lambda n: 4.0 + n // every


def _now_and_then(random: Random) -> Value:
    chance, state = 1 / log_uniform(random, 1, 1_000), [0.0, 0.0]

    def value(n: float) -> float:
        new = random.binomial(int(n - state[0]), chance) if n > state[0] else 0
        state[:] = [n, state[1] + new]
        return state[1]

    return value


def _growing_list(random: Random) -> Value:
    start = random.uniform(50, 2_000)
    return lambda n: 8 * 1.125 ** math.floor(math.log(n + start, 1.125))


def _busy(random: Random) -> Value:
    return lambda _: float(random.poisson(5))


def _often(random: Random) -> Value:
    every = log_uniform(random, 1, 100)
    return lambda n: n // every


FAST = (0.001, 0.1)
LEAKS = (
    Kind("linear, 5 B", "heap", linear(5), milliseconds=FAST),
    Kind("linear, 64 B", "heap", linear(64)),
    Kind("linear, 100 KiB", "heap", linear(102_400)),
    Kind("linear, 1 MiB, slow job", "heap", linear(2.0**20), milliseconds=(100, 3000)),
    Kind("1 MiB in 500 to 1,500 iterations", "heap", _jumps),
    Kind("late start, from 64 B", "heap", _late),
    Kind("under a filling cache, from 64 B", "heap", _hidden),
    Kind("a list that grows", "heap", _growing_list, milliseconds=FAST),
    Kind("64 B in noise of 10 KB", "heap", lambda r: plus(linear(64)(r), white(r, 1e4))),
    Kind("1 block", "blocks", lambda r: plus(linear(1)(r), white(r, 30))),
    Kind("one in 1 to 1,000, regular", "fds", _one_in),
    Kind("one in 1 to 1,000, at random", "fds", _now_and_then),
    Kind("one a call, slow job", "fds", linear(1), milliseconds=(100, 3000)),
    Kind("one in 1 to 100, handles vary", "fds", lambda r: plus(_busy(r), _often(r))),
)

"""Leaks of awkward shape: rare, small, late, hidden, or on one path only."""

from __future__ import annotations

import functools
import json
from collections import OrderedDict

from benchmarks.leakbench.cases.case import Draw, Job, leak


@leak("heap", "rss", "blocks")
def sporadic_mebibyte(draw: Draw) -> Job:
    """1 MiB in about every thousandth call."""
    kept: list[bytes] = []
    every = draw.count(700, 1300)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            kept.append(b"x" * (1 << 20))  # LEAK

    return job


@leak("blocks", "heap", "rss", "gc_objects")
def sporadic_object(draw: Draw) -> Job:
    """A handful of objects at random, once in some hundred calls."""
    kept: list[list[bytes]] = []
    every = draw.size(50, 400)
    rng = draw.rng

    def job() -> None:
        if rng.randrange(every) == 0:
            kept.append([bytes(2048) for _ in range(64)])  # LEAK

    return job


@leak("blocks", "heap", "rss", below_bar=True)
def slow_few_bytes(draw: Draw) -> Job:
    """5 to 64 bytes a call: one small string in every few calls."""
    kept: list[str] = []
    every = draw.count(1, 11)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            kept.append(str(calls))  # LEAK

    return job


@leak("heap", "blocks", "rss")
def late_start(draw: Draw) -> Job:
    """Nothing for some hundreds of calls, then a leak."""
    kept: list[bytes] = []
    start = draw.size(300, 3000)
    size = draw.size(256, 8192)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls > start:
            kept.append(bytes(size))  # LEAK

    return job


@leak("blocks", "heap", "rss", "gc_objects")
def under_a_filling_cache(draw: Draw) -> Job:
    """A bounded cache fills with much; a list keeps a little for ever."""
    size = draw.size(500, 3000)
    kept: list[bytes] = []
    small = draw.size(64, 512)
    calls = 0

    @functools.lru_cache(maxsize=draw.size(500, 4000))
    def render(key: int) -> bytes:
        return key.to_bytes(4, "big") * (size // 4)

    def job() -> None:
        nonlocal calls
        calls += 1
        render(calls)
        kept.append(bytes(small))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def error_path_only(draw: Draw) -> Job:
    """Only the calls that fail leave something behind."""
    failures: list[tuple[str, Exception]] = []
    every = draw.count(2, 8)
    text = "{" + "x" * draw.size(64, 512)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        try:
            json.loads(text if calls % every == 0 else "{}")  # LEAK
        except ValueError as error:
            failures.append((f"call {calls}", error))  # LEAK

    return job


@leak("blocks", "heap", "rss")
def random_sizes(draw: Draw) -> Job:
    """Leaks whose sizes spread over two orders of magnitude."""
    kept: list[bytes] = []
    rng = draw.rng
    top = draw.size(2000, 50000)

    def job() -> None:
        kept.append(bytes(int(64 * (top / 64) ** rng.random())))  # LEAK

    return job


@leak("blocks", "heap", "rss")
def saw_tooth_that_climbs(draw: Draw) -> Job:
    """A buffer flushed every so often, whose flush forgets the last item each time."""
    buffer: list[bytes] = []
    forgotten: list[bytes] = []
    size = draw.size(4096, 16384)
    period = draw.count(5, 60)

    def job() -> None:
        buffer.append(bytes(size))  # LEAK
        if len(buffer) >= period:
            forgotten.append(buffer[-1])  # LEAK
            buffer.clear()

    return job


@leak("blocks", "heap", "rss", "gc_objects")
def cache_with_a_broken_bound(draw: Draw) -> Job:
    """An LRU that compares its bound wrongly and drops one of every two it should."""
    cache: OrderedDict[int, bytes] = OrderedDict()
    bound = draw.size(100, 1000)
    size = draw.size(64, 2048)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        cache[calls] = bytes(size)  # LEAK
        if len(cache) > bound and calls % 2:
            cache.popitem(last=False)

    return job


@leak("blocks", "heap", "rss")
def noise_around_a_leak(draw: Draw) -> Job:
    """Large temporary allocations of random size around a small leak."""
    kept: list[bytes] = []
    rng = draw.rng
    size = draw.size(64, 256)

    def job() -> None:
        temporary = [bytes(rng.randrange(1, 60000)) for _ in range(8)]
        kept.append(bytes(size))  # LEAK
        temporary.clear()

    return job


@leak("heap", "rss", "blocks")
def large_body_every_call(draw: Draw) -> Job:
    """Whole uploads kept: to be stopped long before it hurts."""
    bodies: list[bytes] = []
    size = draw.size(1 << 18, 1 << 21)

    def job() -> None:
        bodies.append(b"x" * size)  # LEAK

    return job

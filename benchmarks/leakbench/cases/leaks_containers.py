"""Leaks into plain containers: something is put in, and nothing ever takes it out."""

from __future__ import annotations

import collections
import functools
import sys
from typing import Any, ClassVar

from benchmarks.leakbench.cases.case import Draw, Job, leak


@leak("blocks", "heap", "rss")
def list_of_bytes(draw: Draw) -> Job:
    """Bytes of one size, appended for ever."""
    kept: list[bytes] = []
    size = draw.size(64, 16384)

    def job() -> None:
        kept.append(bytes(size))  # LEAK

    return job


@leak("blocks", "heap", "rss")
def list_of_strings(draw: Draw) -> Job:
    """Log lines kept for a report that nobody writes."""
    lines: list[str] = []
    width = draw.size(64, 2048)

    def job() -> None:
        lines.append(f"request {len(lines):>{width}}")  # LEAK

    return job


@leak("blocks", "gc_objects", "rss", "heap")
def list_of_tuples(draw: Draw) -> Job:
    """Timings kept as tuples."""
    timings: list[tuple[str, float, list[int]]] = []
    width = draw.count(1, 8)

    def job() -> None:
        timings.append(("GET", len(timings) / 7, list(range(width))))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def dict_of_rows(draw: Draw) -> Job:
    """Results by identifier; the identifier is never seen again."""
    results: dict[int, dict[str, Any]] = {}
    size = draw.size(64, 4096)

    def job() -> None:
        results[len(results)] = {"state": "done", "body": bytes(size)}  # LEAK

    return job


@leak("blocks", "rss", "heap")
def set_of_seen_keys(draw: Draw) -> Job:
    """Keys remembered against repeats that never come."""
    seen: set[str] = set()
    width = draw.size(64, 512)

    def job() -> None:
        seen.add(f"{len(seen):0{width}d}")  # LEAK

    return job


@leak("blocks", "heap", "rss")
def unbounded_deque(draw: Draw) -> Job:
    """A queue whose consumer takes every second item."""
    queue: collections.deque[bytearray] = collections.deque()
    size = draw.size(128, 8192)

    def job() -> None:
        queue.append(bytearray(size))  # LEAK
        queue.append(bytearray(size))  # LEAK
        queue.popleft()

    return job


@leak("blocks", "heap", "rss", "gc_objects")
def unbounded_lru_cache(draw: Draw) -> Job:
    """A cache with `maxsize=None` over keys that do not repeat."""
    size = draw.size(64, 4096)
    calls = 0

    @functools.lru_cache(maxsize=None)
    def render(key: int) -> bytes:
        return key.to_bytes(4, "big") * (size // 4)  # LEAK

    def job() -> None:
        nonlocal calls
        calls += 1
        render(calls)  # LEAK

    return job


@leak("blocks", "rss", "heap")
def interned_strings(draw: Draw) -> Job:
    """Field names of foreign input, interned and kept."""
    names: list[str] = []
    width = draw.size(64, 300)

    def job() -> None:
        names.append(sys.intern(f"field_{len(names):0{width}d}"))  # LEAK

    return job


class _Handler:
    """A handler whose mutable class attribute is shared by every instance."""

    history: ClassVar[list[bytes]] = []


@leak("blocks", "heap", "rss")
def class_attribute(draw: Draw) -> Job:
    """A list meant to be per instance, made once per class."""
    size = draw.size(64, 4096)

    def job() -> None:
        handler = _Handler()
        handler.history.append(bytes(size))  # LEAK

    return job


@leak("blocks", "gc_objects", "rss", "heap")
def cache_keyed_by_id(draw: Draw) -> Job:
    """A cache keyed by `id()`, which pins its object so that the id is never free again."""
    cache: dict[int, tuple[object, bytes]] = {}
    size = draw.size(64, 2048)

    def job() -> None:
        request = object()  # LEAK
        cache[id(request)] = (request, bytes(size))  # LEAK

    return job


@leak("heap", "blocks", "rss")
def growing_bytearray(draw: Draw) -> Job:
    """One buffer that is only ever extended."""
    buffer = bytearray()
    piece = bytes(draw.size(64, 4096))

    def job() -> None:
        buffer.extend(piece)  # LEAK

    return job

"""Clean: caches and buffers that fill, and are bounded."""

from __future__ import annotations

import collections
import functools
import json
import re
import sqlite3
import sys
import threading
import weakref
from typing import Any

from benchmarks.leakbench.cases.case import Draw, Job, clean


@clean
def lru_cache_fills(draw: Draw) -> Job:
    """An LRU of seeded size over keys that do not repeat."""
    size = draw.size(64, 4096)
    calls = 0

    @functools.lru_cache(maxsize=draw.size(100, 6000))
    def render(key: int) -> bytes:
        return key.to_bytes(4, "big") * (size // 4)

    def job() -> None:
        nonlocal calls
        calls += 1
        render(calls)

    return job


@clean
def lru_cache_of_random_keys(draw: Draw) -> Job:
    """A cache that fills ever more slowly: its keys are drawn from a finite set."""
    rng = draw.rng
    keys = draw.size(100, 1500)
    size = draw.size(128, 4096)

    @functools.lru_cache(maxsize=None)
    def render(key: int) -> bytes:
        return key.to_bytes(4, "big") * (size // 4)

    def job() -> None:
        render(rng.randrange(keys))

    return job


@clean
def bounded_deque_fills(draw: Draw) -> Job:
    """The last so many lines."""
    lines: collections.deque[str] = collections.deque(maxlen=draw.size(100, 8000))
    width = draw.size(64, 1024)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        lines.append(f"{calls:>{width}}")

    return job


@clean
def dict_doubles_then_is_bounded(draw: Draw) -> Job:
    """A table that resizes in ever larger steps, and then recycles its keys."""
    table: dict[int, list[int]] = {}
    bound = draw.size(500, 6000)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        table[calls % bound] = [calls]

    return job


@clean
def ring_buffer_of_records(draw: Draw) -> Job:
    """A ring of preallocated slots that objects of varying size move into."""
    ring: list[Any] = [None] * draw.size(64, 3000)
    rng = draw.rng
    top = draw.size(256, 4096)
    calls = 0

    def job() -> None:
        nonlocal calls
        ring[calls % len(ring)] = {"n": calls, "body": bytes(rng.randrange(top))}
        calls += 1

    return job


@clean
def buffer_flushed_periodically(draw: Draw) -> Job:
    """Rows gathered and written every so often: a saw-tooth."""
    rows: list[bytes] = []
    period = draw.size(30, 2500)
    size = draw.size(64, 4096)

    def job() -> None:
        rows.append(bytes(size))
        if len(rows) >= period:
            rows.clear()

    return job


@clean
def regular_expression_cache(draw: Draw) -> Job:
    """More patterns than `re` caches, compiled through its module functions."""
    patterns = draw.size(100, 1500)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        re.match(f"^item-{calls % patterns}-[a-z]+$", "item-7-abc")

    return job


@clean
def sqlite_statement_cache(draw: Draw) -> Job:
    """One connection whose statement cache fills with texts of seeded number."""
    connection = sqlite3.connect(
        ":memory:", check_same_thread=False, cached_statements=draw.size(50, 1000)
    )
    connection.execute("create table rows (n integer, body text)")
    connection.executemany("insert into rows values (?, ?)", [(n, "x" * 40) for n in range(50)])
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        connection.execute(f"select n + {calls} from rows where n > ?", (calls % 50,)).fetchall()

    return job


@clean
def json_documents(draw: Draw) -> Job:
    """Documents parsed and written; the scanner's memo is emptied each time."""
    fields = draw.size(2, 200)
    text = json.dumps({f"field_{n}": [n, str(n), None] for n in range(fields)})

    def job() -> None:
        document = json.loads(text)
        document["extra"] = fields
        json.dumps(document)

    return job


@clean
def interned_strings_bounded(draw: Draw) -> Job:
    """Names interned from a finite set, and dropped with the request."""
    names = draw.size(50, 3000)
    kept: dict[str, int] = {}
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        kept[sys.intern(f"field_{calls % names}")] = calls

    return job


class _Session:
    """Something that can be referred to weakly."""

    def __init__(self, body: bytes) -> None:
        self.body = body


@clean
def weak_value_dictionary(draw: Draw) -> Job:
    """Sessions found by key while anybody holds them; the newest are held."""
    sessions: weakref.WeakValueDictionary[int, _Session] = weakref.WeakValueDictionary()
    held: collections.deque[_Session] = collections.deque(maxlen=draw.size(20, 1500))
    size = draw.size(64, 2048)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        session = _Session(bytes(size))
        sessions[calls] = session
        held.append(session)

    return job


@clean
def cache_with_expiry(draw: Draw) -> Job:
    """Entries swept out once they are older than so many calls, a batch at a time."""
    entries: dict[int, bytes] = {}
    age = draw.size(100, 2000)
    batch = draw.size(10, 300)
    size = draw.size(64, 2048)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        entries[calls] = bytes(size)
        if calls % batch == 0:
            for key in [key for key in entries if key < calls - age]:
                del entries[key]

    return job


@clean
def cache_emptied_when_full(draw: Draw) -> Job:
    """A memo that is thrown away whole at its bound, as many C extensions do."""
    memo: dict[int, tuple[int, str]] = {}
    bound = draw.size(200, 4000)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if len(memo) >= bound:
            memo.clear()
        memo[calls] = (calls, f"value {calls}")

    return job


@clean
def locks_by_key(draw: Draw) -> Job:
    """A lock for each customer, made when first asked for; customers are many, not endless."""
    locks: dict[int, threading.Lock] = {}
    customers = draw.size(50, 2000)
    rng = draw.rng

    def job() -> None:
        with locks.setdefault(rng.randrange(customers), threading.Lock()):
            pass

    return job

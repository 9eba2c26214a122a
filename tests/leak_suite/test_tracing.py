"""What the agent's trace of a running process finds, and what it leaves behind: nothing."""

from __future__ import annotations

import collections
import functools
import gc
import itertools
import queue
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leak_suite.subject.agent_code import agent_module

NUMBERS = itertools.count()
COUNTS: dict[int, int] = {}
AUDIT: list[Any] = []
RING: collections.deque[int] = collections.deque(maxlen=900)


class Shelf:
    def __init__(self) -> None:
        self.items: list[Any] = []


SHELF = Shelf()


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    COUNTS.clear()
    AUDIT.clear()
    SHELF.items.clear()


def traced(job: Callable[[], Any], n: int = 30, **plan: Any) -> dict[str, Any]:
    tracing = agent_module("tracing").Tracing()
    for _ in range(20):
        job()
    tracing.begin({"allocations": "none", "containers": True, "iterations": 20, **plan})
    try:
        for _ in range(n):
            job()
        tracing.mark()
        for _ in range(2 * n):
            job()
        answer: dict[str, Any] = tracing.end()
    finally:
        tracing.close()
    return answer


def container(answer: dict[str, Any], path: str) -> dict[str, Any]:
    (found,) = [row for row in answer["containers"] if row["path"].endswith(path)]
    return found


def inserting(answer: dict[str, Any], row: dict[str, Any]) -> list[int]:
    return [answer["stacks"][index][0][1] for index, _ in row["inserted"]]


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


def count_a_number() -> None:
    number = next(NUMBERS)
    COUNTS[number] = number


def test_a_dictionary_that_the_collector_does_not_know_is_seen_to_grow() -> None:
    answer = traced(count_a_number)
    row = container(answer, "COUNTS")
    assert row["grown"] == (30, 60)
    assert inserting(answer, row) == [line_of(count_a_number, 2)]


def put_on_the_shelf() -> None:
    SHELF.items.append([next(NUMBERS)])


def test_a_container_of_an_instance_is_named_by_its_attribute() -> None:
    answer = traced(put_on_the_shelf)
    row = container(answer, "SHELF.items")
    assert row["own"]
    assert inserting(answer, row) == [line_of(put_on_the_shelf, 1)]


@functools.lru_cache(maxsize=5000)
def square(number: int) -> int:
    return number * number


def test_a_cache_that_is_filling_tells_its_bound_and_how_full_it_is() -> None:
    answer = traced(lambda: square(next(NUMBERS)))
    row = container(answer, "square (its cache)")
    assert (row["bound"], row["length"]) == (5000, 110)
    assert container(traced(lambda: RING.append(next(NUMBERS))), "RING")["bound"] == 900


def test_a_container_that_is_as_long_as_before_is_not_reported() -> None:
    def turn_over() -> None:
        AUDIT.append(next(NUMBERS))
        if len(AUDIT) > 10:
            del AUDIT[0]

    assert traced(turn_over)["containers"] == []


def test_what_another_thread_inserts_that_ran_before_is_charged_to_its_line() -> None:
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
    done: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def audit() -> None:
        AUDIT.append({"to": "somebody"})

    def work() -> None:
        while asked.get():
            audit()
            done.put(True)

    def ask() -> None:
        asked.put(True)
        done.get()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        answer = traced(ask)
    finally:
        asked.put(False)
        worker.join()
    assert inserting(answer, container(answer, "AUDIT"))[0] == line_of(audit, 1)


def test_survivors_of_the_first_window_are_distinguished_from_turnover(tmp_path: Path) -> None:
    kept: list[bytes] = []
    cache: list[bytes] = []

    def job() -> None:
        kept.append(bytes(700))
        cache.append(bytes(900))
        del cache[:-40]

    plan = {"allocations": "memray", "output": str(tmp_path / "allocations.bin")}
    answer = traced(job, **plan)
    by_line: dict[int, Counter[int]] = defaultdict(Counter)
    for row in answer["rows"]:
        stack = answer["stacks"][row["stack"]]
        if row["kind"] == "large" and stack:
            by_line[stack[0][1]].update(dict(enumerate(row["count"])))
    assert by_line[line_of(job, 1)][0] == 30
    assert by_line[line_of(job, 2)] == {0: 0, 1: 40}
    assert list(tmp_path.iterdir()) == []


class Recorded:
    """Says of every object that it was allocated in stack 5."""

    tool = "memray"

    def made(self, item: object) -> tuple[int, int]:
        return 5, 0


def test_memory_that_the_interpreter_hands_out_again_counts_for_who_keeps_it() -> None:
    """The record of a list, dictionary, tuple or float names whoever had that memory first."""
    made_of = agent_module("tracing.containers").made_of
    items = [[bytes(600)], {"text": bytes(600)}, (1.5,)]
    rows, sampled, same = made_of(items, Recorded(), 9, {}, 0)
    stacks = {row["type"]: row["stack"] for row in rows}
    assert sampled == 3
    assert same is None
    assert stacks["bytes"] == 5
    assert {stacks[kind] for kind in ("list", "dict", "tuple", "float")} == {9}


def test_what_a_container_holds_does_not_count_again_for_another() -> None:
    made_of = agent_module("tracing.containers").made_of
    items, seen = [bytes(600 + number) for number in range(4)], {}
    made_of(items, Recorded(), 9, seen, 0)
    assert made_of(dict(enumerate(items)), Recorded(), 9, seen, 1)[2] == 0
    assert made_of([bytes(700) for _ in items] + items[:2], Recorded(), 9, seen, 2)[2] is None


def test_tracing_leaves_no_trace_function_no_reference_and_no_garbage(tmp_path: Path) -> None:
    class Kept:
        pass

    def job() -> None:
        AUDIT.append(Kept())

    before = sys.gettrace(), threading.gettrace()  # type: ignore[attr-defined]
    traced(job, allocations="memray", output=str(tmp_path / "a.bin"), watch=["fds", "threads"])
    assert (sys.gettrace(), threading.gettrace()) == before  # type: ignore[attr-defined]
    AUDIT.clear()
    gc.collect()
    assert not [item for item in gc.get_objects() if type(item) is Kept]


def test_a_process_that_traces_itself_with_memray_is_traced_by_tracemalloc(tmp_path: Path) -> None:
    memray = pytest.importorskip("memray")
    with memray.Tracker(tmp_path / "its-own.bin"):
        answer = traced(
            put_on_the_shelf, allocations="memray", output=str(tmp_path / "allocations.bin")
        )
    assert answer["tool"] == "tracemalloc"
    assert "memray cannot be used there" in answer["note"]
    assert not tracemalloc.is_tracing()


def test_a_process_that_traces_itself_with_tracemalloc_goes_on_doing_so() -> None:
    tracemalloc.start()
    try:
        answer = traced(put_on_the_shelf, allocations="tracemalloc")
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert "is left tracing" in answer["note"]


AWAITED = """
import asyncio, resource
from leak_suite.subject.agent_code import agent_module

async def wait():
    asyncio.get_running_loop().call_soon((done := asyncio.Future()).set_result, None)
    await done  # its iterator is freed, and kept by the module for later

for _ in range(3):
    asyncio.run(wait())
tracing = agent_module("tracing")
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
for _ in range(2):
    trace = tracing.Tracing()
    trace.begin({"allocations": "none", "containers": True, "iterations": 20})
    trace.mark()
    trace.end()
    trace.close()
"""


def test_tracing_a_program_that_awaits_ends_and_gives_back_nothing_twice() -> None:
    """CPython 3.12.0 to 3.12.5 fail here if they are asked what the module `_asyncio` refers to."""
    subprocess.run([sys.executable, "-c", AWAITED], check=True, timeout=60)


def test_one_process_has_one_trace() -> None:
    tracing = agent_module("tracing").Tracing()
    with pytest.raises(RuntimeError, match="no trace was begun"):
        tracing.mark()
    tracing.begin({})
    try:
        with pytest.raises(RuntimeError, match="being traced already"):
            tracing.begin({})
    finally:
        tracing.close()

"""The bound of a container, read from what holds it."""

from __future__ import annotations

import collections
import functools
import queue
from typing import Any

import pytest

from leak_suite.subject.agent_code import agent_module

Bounds = agent_module("tracing.bounds").Bounds


# -- what is read in the process


class Held:
    """A cache by convention."""

    def __init__(self, maxsize: Any) -> None:
        self.maxsize = maxsize
        self.rows: dict[int, int] = {}
        self.audit: dict[int, int] = {}

    def put(self, key: int) -> None:
        self.rows[key] = key
        if len(self.rows) > self.maxsize:
            self.rows.pop(next(iter(self.rows)))


class Slotted:
    __slots__ = ("_capacity", "_data")

    def __init__(self) -> None:
        self._capacity = 70
        self._data: collections.OrderedDict[int, int] = collections.OrderedDict()

    def put(self, key: int) -> None:
        self._data[key] = key
        while len(self._data) > self._capacity:
            self._data.popitem(last=False)


class Recent(collections.OrderedDict[int, int]):
    max_size = 80

    def __len__(self) -> int:
        raise RuntimeError("a length that raises")

    def put(self, key: int) -> None:
        self[key] = key
        if dict.__len__(self) > self.max_size:
            self.popitem(last=False)


def bound_of(item: Any) -> tuple[int | None, str]:
    found: tuple[int | None, str] = Bounds([item], lambda file: file == __file__).of(item, 5)
    return found


def test_bounds_are_read_from_what_holds_a_container() -> None:
    held, slotted, waiting = Held(60), Slotted(), queue.Queue[int](90)
    assert bound_of(collections.deque(maxlen=50)) == (50, "maxlen")
    assert bound_of(held.rows) == (60, "maxsize")
    assert bound_of(slotted._data) == (70, "capacity")
    assert bound_of(Recent()) == (80, "max_size")
    assert bound_of(waiting.queue) == (90, "maxsize")


def test_the_bound_of_a_cache_that_counts_sizes_is_turned_into_entries() -> None:
    cachetools = pytest.importorskip("cachetools")
    cache = cachetools.LRUCache(1_000, getsizeof=lambda _: 10)
    for number in range(5):
        cache[number] = number
    assert bound_of(cache._Cache__data) == (100, "maxsize")


@pytest.mark.parametrize("wrong", ["60", 60.5, True, None, 0, -3, float("nan"), [60]])
def test_a_bound_that_is_no_whole_number_above_zero_is_none(wrong: object) -> None:
    assert bound_of(Held(wrong).rows) == (None, "")


def test_a_number_beside_a_container_that_nothing_takes_out_of_is_not_its_bound() -> None:
    held = Held(60)
    assert bound_of(held.audit) == (None, "")
    assert bound_of({"rows": {}, "maxsize": 60}["rows"]) == (None, "")


def test_an_unbounded_cache_has_no_bound() -> None:
    @functools.lru_cache(None)
    def squared(n: int) -> int:
        return n * n

    squared(3)
    table = next(one for one in __import__("gc").get_referents(squared) if type(one) is dict)
    assert bound_of(table) == (None, "")

"""A reading waits for what is over to be gone, and no reading sets a floor for the later ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from leak_suite.subject.agent_code import agent_module


class Clock:
    """Time that passes only where something sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        agent_module("metric_reader"), "time", SimpleNamespace(sleep=clock.sleep, thread_time=float)
    )
    return clock


def reader_of(count: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Any:
    reader = agent_module("metric_reader").MetricReader("")
    monkeypatch.setattr(reader, "_passing", count)
    return reader


def test_a_fall_that_takes_longer_than_a_wait_is_waited_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tasks that end on time-out: one after the other, over twice the time of a wait."""
    begun = 0.0

    def count() -> int:
        return 4 + max(0, 20 - int((clock.now - begun) / 0.01))

    reader = reader_of(count, monkeypatch)
    begun = -1.0
    reader.settle()
    for _ in range(5):
        begun = clock.now
        reader.settle()
        assert count() == 4


def test_a_reading_in_the_middle_of_a_fall_is_no_floor_for_later_ones(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, each = -100.0, 0.01

    def count() -> int:
        return 4 + max(0, 30 - int((clock.now - begun) / each))

    reader = reader_of(count, monkeypatch)
    reader.settle()
    begun, each = clock.now, 0.05  # too slow to see the end of it
    reader.settle()
    assert count() > 4
    begun, each = clock.now, 0.01
    reader.settle()
    assert count() == 4


def test_what_really_grows_costs_little_after_a_few_readings(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = 0

    def count() -> int:
        return level

    reader = reader_of(count, monkeypatch)
    spent = []
    for _ in range(10):
        level += 3
        spent.append(reader.settle())
    assert max(spent) <= 0.11
    assert spent[-1] <= 0.013


def test_a_level_that_stays_is_not_waited_for_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = 3

    def count() -> int:
        return level

    reader = reader_of(count, monkeypatch)
    reader.settle()
    level = 9
    assert reader.settle() > 0
    assert reader.settle() == 0

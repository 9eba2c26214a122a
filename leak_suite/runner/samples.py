"""Where readings are kept: in arrays made beforehand, so that keeping them grows nothing."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from math import isnan, nan

from leak_suite.metrics import metric_named
from leak_suite.result import Series

__all__ = ["Samples", "is_left_behind", "without_traces"]

_ROOM = 1024


def is_left_behind(metric: str) -> bool:
    """Whether a trace leaves some of this metric in the subject: memory, and objects in it."""
    return metric_named(metric).live or metric_named(metric).resident


def without_traces(
    iterations: Sequence[int],
    values: Sequence[float | None],
    first: int,
    after_traces: Sequence[int],
) -> list[float | None]:
    """The readings of one metric without what traces left behind in the subject.

    `after_traces` has the indices of the readings that were the first after a trace. What such a
    reading lies above the pace from the reading `first` on is taken off it and all later ones.
    """
    taken_off = 0.0
    known: list[int] = []
    result = list(values)
    for i, value in enumerate(values):
        if value is None:
            continue
        if i in after_traces and known:
            (start, low), (last, high) = ((k, result[k] or 0.0) for k in (known[0], known[-1]))
            span = iterations[last] - iterations[start]
            pace = max(0.0, (high - low) / span) if span > 0 else 0.0
            expected = high + pace * (iterations[i] - iterations[last])
            taken_off = max(taken_off, value - expected)
        result[i] = value - taken_off
        if i >= first:
            known.append(i)
    return result


class Samples:
    """The readings of every metric against the iterations done so far."""

    def __init__(self, unit_of: Callable[[str], str]) -> None:
        self._unit_of = unit_of
        self._iterations = array("q", bytes(8 * _ROOM))
        self._values: dict[str, array[float]] = {}
        self._count = 0
        self._warm_up = 0
        self._after_traces: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(self, iterations: int, values: Mapping[str, float | None]) -> None:
        """Keep one reading; a metric that it lacks is unknown in it."""
        for metric in values:
            if metric not in self._values:
                self._values[metric] = array("d", [nan]) * len(self._iterations)
        if self._count == len(self._iterations):
            self._double()
        self._iterations[self._count] = iterations
        for metric, column in self._values.items():
            value = values.get(metric)
            column[self._count] = nan if value is None else value
        self._count += 1

    def end_warm_up(self) -> None:
        """What comes from now on is judged, and the last reading of warm-up as its start."""
        self._warm_up = max(0, self._count - 1)

    def end_trace(self) -> None:
        """What a trace has left in the subject is in the next reading, and all after it."""
        self._after_traces.append(self._count)

    def series(self) -> tuple[Series, ...]:
        """One series a metric, without what traces left behind."""
        return tuple(self._series(metric, column) for metric, column in self._values.items())

    def _series(self, metric: str, column: array[float]) -> Series:
        iterations = self._iterations[: self._count]
        values = [None if isnan(value) else value for value in column[: self._count]]
        if self._after_traces and is_left_behind(metric):
            values = without_traces(iterations, values, self._warm_up, self._after_traces)
        samples = tuple(zip(iterations, values, strict=True))
        warm_up = self._warm_up
        if metric == "peak":  # of the rounds after warm-up only: it has no value at their start
            warm_up = min(warm_up + 1, self._count)
        return Series(metric, self._unit_of(metric), samples, warm_up)

    def _double(self) -> None:
        self._iterations.extend(self._iterations)
        for column in self._values.values():
            column.extend(array("d", [nan]) * len(column))

"""Where readings are kept: in arrays made beforehand, so that keeping them grows nothing."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from math import isnan, nan

from leak_suite.result import Series

__all__ = ["Samples"]

_ROOM = 1024


class Samples:
    """The readings of every metric against the iterations done so far."""

    def __init__(self, unit_of: Callable[[str], str]) -> None:
        self._unit_of = unit_of
        self._iterations = array("q", bytes(8 * _ROOM))
        self._values: dict[str, array[float]] = {}
        self._count = 0
        self._warm_up = 0

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

    def series(self) -> tuple[Series, ...]:
        """One series a metric."""
        return tuple(self._series(metric, column) for metric, column in self._values.items())

    def _series(self, metric: str, column: array[float]) -> Series:
        samples = tuple(
            (self._iterations[i], None if isnan(column[i]) else column[i])
            for i in range(self._count)
        )
        warm_up = self._warm_up
        if metric == "peak":  # of the rounds after warm-up only: it has no value at their start
            warm_up = min(warm_up + 1, self._count)
        return Series(metric, self._unit_of(metric), samples, warm_up)

    def _double(self) -> None:
        self._iterations.extend(self._iterations)
        for column in self._values.values():
            column.extend(array("d", [nan]) * len(column))

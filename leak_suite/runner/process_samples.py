"""Readings of the subject's other processes: the growth of each group, over all lives in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from leak_suite.result import Series
from leak_suite.subject import Life, ProcessReading

__all__ = ["ProcessSamples"]

FIRST_USE_SHARE, FIRST_USE_READINGS = 0.25, 8
"""A process that begins during the run has first use of its own: this share of its readings, and
no more than so many, are left out."""
LEAST_READINGS = 3
"""What a life must have left to count: with fewer its growth is a guess."""
PASSING_ITERATIONS = 2
"""A process that was there for no more than so many iterations served one of them."""
READINGS_PER_LIFE = 10
"""Rounds are kept short enough to read a process that will be replaced so many times."""


@dataclass
class _LifeSamples:
    """The readings of one process, from the reading `first` on, one after the other."""

    group: str
    first: int
    values: dict[str, list[float | None]] = field(default_factory=dict)
    count: int = 0

    def add(self, values: Mapping[str, float | None]) -> None:
        for metric in {*self.values, *values}:
            column = self.values.setdefault(metric, [None] * self.count)
            column.append(values.get(metric))
        self.count += 1

    @property
    def last(self) -> int:
        return self.first + self.count - 1


class ProcessSamples:
    """What was read of the other processes, against the iterations done so far."""

    def __init__(self, unit_of: Callable[[str], str]) -> None:
        self._unit_of = unit_of
        self._iterations: list[int] = []
        self._lives: dict[Life, _LifeSamples] = {}
        self._warm_up = 0

    def add(self, iterations: int, processes: Mapping[Life, ProcessReading]) -> None:
        """Keep what one reading found."""
        index = len(self._iterations)
        self._iterations.append(iterations)
        for life, reading in processes.items():
            samples = self._lives.get(life)
            if samples is None:
                samples = self._lives[life] = _LifeSamples(reading.group, index)
            while samples.last < index - 1:  # it was not read meanwhile
                samples.add({})
            samples.add(reading.values)

    def end_warm_up(self) -> None:
        """What comes from now on is judged, and the last reading of warm-up as its start."""
        self._warm_up = max(0, len(self._iterations) - 1)

    def longest_round(self) -> int | None:
        """Iterations after which a process that is replaced has to be read again; None: any."""
        now = len(self._iterations) - 1
        ended = [
            self._iterations[life.last] - self._iterations[life.first]
            for life in self._lives.values()
            if life.last < now
        ]
        ended = [length for length in ended if length > PASSING_ITERATIONS]
        return max(1, int(median(ended)) // READINGS_PER_LIFE) if ended else None

    def series(self) -> dict[str, tuple[Series, ...]]:
        """For each group one series a metric: its level at the start, and what its lives grew by.

        A life that ends takes nothing back: replaced workers that each leak are a leak. Where most
        readings are of lives too short to tell, every value is unknown.
        """
        groups: dict[str, list[_LifeSamples]] = {}
        for life in self._lives.values():
            if not self._is_passing(life):
                groups.setdefault(life.group, []).append(life)
        return {group: self._group_series(group, lives) for group, lives in groups.items()}

    def _is_passing(self, life: _LifeSamples) -> bool:
        span = self._iterations[life.last] - self._iterations[life.first]
        return span <= PASSING_ITERATIONS and life.last < len(self._iterations) - 1

    def _group_series(self, group: str, lives: list[_LifeSamples]) -> tuple[Series, ...]:
        metrics = list(dict.fromkeys(metric for life in lives for metric in life.values))
        return tuple(self._one_series(group, metric, lives) for metric in metrics)

    def _one_series(self, group: str, metric: str, lives: list[_LifeSamples]) -> Series:
        size = len(self._iterations)
        total: list[float] = [0.0] * size
        judged = known = 0
        for life in lives:
            column = life.values.get(metric, [])
            readings = [(life.first + i, v) for i, v in enumerate(column) if v is not None]
            known += len(readings)
            kept = readings[self._first_use(life, len(readings)) :]
            if len(kept) < LEAST_READINGS and life.first > self._warm_up:
                continue
            judged += len(readings)
            _add_growth(total, self._with_first_use(readings[: -len(kept) or None], kept))
        base = sum(
            column[0] or 0.0
            for life in lives
            if life.first <= self._warm_up and (column := life.values.get(metric, []))
        )
        enough = known > 0 and judged >= known / 2
        samples = tuple(
            (n, base + value if enough else None)
            for n, value in zip(self._iterations, total, strict=True)
        )
        return Series(metric, self._unit_of(metric), samples, self._warm_up, process=group)

    def _with_first_use(
        self, left_out: list[tuple[int, float]], kept: list[tuple[int, float]]
    ) -> list[tuple[int, float]]:
        """The kept readings, and before them what the life did at the pace that it had later.

        Else the growth of lives that are short would be missing for the part that is left out.
        """
        if not left_out or len(kept) < LEAST_READINGS or left_out[-1][0] >= kept[0][0]:
            return kept
        n = self._iterations
        (first, low), (last, high) = kept[0], kept[-1]
        span = n[last] - n[first]
        pace = (high - low) / span if span > 0 else 0.0
        return [*((i, low - pace * (n[first] - n[i])) for i, _ in left_out), *kept]

    def _first_use(self, life: _LifeSamples, readings: int) -> int:
        """How many readings of a life belong to its first use."""
        if life.first <= self._warm_up:
            return 0
        return max(1, min(FIRST_USE_READINGS, round(FIRST_USE_SHARE * readings)))


def _add_growth(total: list[float], readings: list[tuple[int, float]]) -> None:
    """Add to each reading what one life had grown by then; after its end what it had in the end."""
    if not readings:
        return
    start = readings[0][1]
    position = 0
    grown = 0.0
    for index in range(readings[0][0], len(total)):
        while position < len(readings) and readings[position][0] <= index:
            grown = readings[position][1] - start
            position += 1
        total[index] += grown

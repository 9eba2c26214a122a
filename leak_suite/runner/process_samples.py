"""Readings of the subject's other processes: the growth of each group, over all lives in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from leak_suite.metrics import metric_named
from leak_suite.result import Series
from leak_suite.runner.samples import is_left_behind, without_traces
from leak_suite.subject import Life, ProcessReading

__all__ = ["ProcessSamples", "least_in_a_life"]

FIRST_USE_SHARE, FIRST_USE_READINGS = 0.5, 30
"""A process that begins during the run has first use of its own, which decays over hundreds of
calls (the interpreter adapts code that runs often): this share of its readings, and no more than so
many, say nothing of its pace."""
LEAST_READINGS = 3
"""What a life must have left to count: with fewer its growth is a guess."""
REPLACED = 3
"""So many processes of a group have ended, and it counts as one whose processes are replaced."""
COMPLETE = 0.8
"""Lives of this share of the usual length are compared: in shorter ones caches may still fill."""
LATE_TWELFTHS = (12, 8, 6)
"""Of the second half of a life: all of it, two thirds and half."""
PASSING_ITERATIONS = 2
"""A process that was there for no more than so many iterations served one of them."""
REPLACED_MINIMUM = 4.0
"""What a replaced life adds must be so many times the minimum: it is too short to tell a leak from
what still fills. Children of Celery that keep nothing add 300 to 600 blocks in 600 tasks."""
ONE_STEP_SHARE, ONE_STEP_READINGS = 0.5, 6
"""A step of more than this share of a life's late growth, of so many readings or more, says nothing
of its pace: a process that had nothing to do was used for the first time."""
READINGS_PER_LIFE = 10
"""Rounds are kept short enough to read a process that will be replaced so many times."""


def least_in_a_life(metric: str, minimum: float) -> float:
    """What a process that is replaced has to add of a metric, whose minimum growth this is."""
    return minimum if metric_named(metric).exact else REPLACED_MINIMUM * minimum


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
        self._after_traces: list[int] = []

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

    def end_trace(self) -> None:
        """What a trace has left in the processes is in the next reading, and all after it."""
        self._after_traces.append(len(self._iterations))

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

    def series(self, minimum_of: Callable[[str], float]) -> dict[str, tuple[Series, ...]]:
        """For each group one series a metric: its level at the start, and what its lives grew by.

        A life that ends takes nothing back: replaced workers that each leak are a leak. Where
        workers are replaced again and again, all lives are taken to grow at the median of their
        paces, if a whole life at that pace adds enough (`least_in_a_life`): what a process loads
        differs from life to life, what leaks does not. Where most readings are of lives too short
        to tell, every value is unknown.
        """
        return {
            group: tuple(
                self._one_series(group, metric, lives, minimum_of(metric))
                for metric in dict.fromkeys(metric for life in lives for metric in life.values)
            )
            for group, lives in self._groups().items()
        }

    def coarsest(self, group: str) -> float | None:
        """Iterations that a replaced process of `group` lives for; None where none is replaced.

        Growth that adds less than a metric's minimum in so many iterations is not seen.
        """
        lives = self._groups().get(group, [])
        return self._usual_span(lives) if self._is_replaced(lives) else None

    def _groups(self) -> dict[str, list[_LifeSamples]]:
        groups: dict[str, list[_LifeSamples]] = {}
        for life in self._lives.values():
            if not self._is_passing(life):
                groups.setdefault(life.group, []).append(life)
        return groups

    def _span(self, life: _LifeSamples) -> int:
        return self._iterations[life.last] - self._iterations[life.first]

    def _usual_span(self, lives: list[_LifeSamples]) -> float:
        return median(self._span(life) for life in lives)

    def _is_replaced(self, lives: list[_LifeSamples]) -> bool:
        """Whether processes of this group end and others take their place."""
        now = len(self._iterations) - 1
        return sum(life.last < now for life in lives) >= REPLACED

    def _is_passing(self, life: _LifeSamples) -> bool:
        gone = life.last < len(self._iterations) - 1
        return self._span(life) <= PASSING_ITERATIONS and gone

    def _one_series(
        self, group: str, metric: str, lives: list[_LifeSamples], minimum: float
    ) -> Series:
        total: list[float] = [0.0] * len(self._iterations)
        known = 0
        judged: list[tuple[list[tuple[int, float]], list[tuple[int, float]]]] = []
        for life in lives:
            column = self._column(life, metric)
            readings = [(life.first + i, v) for i, v in enumerate(column) if v is not None]
            if life.last < len(self._iterations) - 1 and len(readings) > LEAST_READINGS:
                readings[-1] = self._without_end(readings)
            known += len(readings)
            kept = readings[self._first_use(life, len(readings)) :]
            if len(kept) >= LEAST_READINGS or (kept and life.first <= self._warm_up):
                judged.append((readings, kept))
        if self._is_replaced(lives) and len(judged) >= REPLACED:
            whole = COMPLETE * self._usual_span(lives)
            complete = [kept for readings, kept in judged if self._reach(readings) >= whole]
            pace = median(self._late_pace(kept) for kept in complete) if complete else 0.0
            least = least_in_a_life(metric, minimum)
            pace = pace if abs(pace) * self._usual_span(lives) >= least else 0.0
            grown = [self._at_pace(readings, pace) for readings, _ in judged]
        else:
            grown = [self._at_pace(r[: -len(kept)], self._pace(kept), kept) for r, kept in judged]
        for readings in grown:
            _add_growth(total, readings)
        base = sum(
            column[0] or 0.0
            for life in lives
            if life.first <= self._warm_up and (column := life.values.get(metric, []))
        )
        enough = known > 0 and sum(len(readings) for readings, _ in judged) >= known / 2
        samples = tuple(
            (n, base + value if enough else None)
            for n, value in zip(self._iterations, total, strict=True)
        )
        return Series(metric, self._unit_of(metric), samples, self._warm_up, process=group)

    def _column(self, life: _LifeSamples, metric: str) -> list[float | None]:
        """What was read of the metric in one life, without what traces left behind."""
        column = life.values.get(metric, [])
        after = [at - life.first for at in self._after_traces if life.first < at <= life.last]
        if not after or not is_left_behind(metric):
            return column
        iterations = self._iterations[life.first : life.last + 1]
        return without_traces(iterations, column, max(0, self._warm_up - life.first), after)

    def _without_end(self, readings: list[tuple[int, float]]) -> tuple[int, float]:
        """The last reading of a process that has ended, had it gone on at its late pace.

        For its end a process loads, and frees, what it needs for that.
        """
        (last, _), (before, level) = readings[-1], readings[-2]
        gap = self._iterations[last] - self._iterations[before]
        return last, level + self._late_pace(readings[len(readings) // 2 : -1]) * gap

    def _pace(self, readings: list[tuple[int, float]]) -> float:
        """Growth per iteration from the first of the readings to the last."""
        (first, low), (last, high) = readings[0], readings[-1]
        span = self._iterations[last] - self._iterations[first]
        return (high - low) / span if span > 0 else 0.0

    def _reach(self, readings: list[tuple[int, float]]) -> int:
        """Iterations from the first of the readings to the last."""
        return self._iterations[readings[-1][0]] - self._iterations[readings[0][0]]

    def _late_pace(self, readings: list[tuple[int, float]]) -> float:
        """The slowest pace of the ends of a life: what fills has ended there, a leak goes on."""
        lengths = (len(readings) * part // 12 for part in LATE_TWELFTHS)
        ends = [readings[-length:] for length in lengths if length >= LEAST_READINGS]
        return min((self._even_pace(end) for end in ends), default=self._pace(readings))

    def _even_pace(self, readings: list[tuple[int, float]]) -> float:
        """Growth per iteration, without a step that is most of it."""
        pace = self._pace(readings)
        if len(readings) < ONE_STEP_READINGS:
            return pace
        growth = readings[-1][1] - readings[0][1]
        largest = max(b - a for (_, a), (_, b) in pairwise(readings))
        return pace * (1 - largest / growth) if largest > ONE_STEP_SHARE * growth > 0 else pace

    def _at_pace(
        self,
        left_out: list[tuple[int, float]],
        pace: float,
        kept: list[tuple[int, float]] | None = None,
    ) -> list[tuple[int, float]]:
        """The kept readings; those that were left out as if the life had had `pace` from the start.

        Else the growth of lives that are short would be missing for the part that is left out.
        """
        kept = kept or []
        n = self._iterations
        (end, level) = kept[0] if kept else (left_out[-1][0], 0.0)
        return [*((i, level - pace * (n[end] - n[i])) for i, _ in left_out), *kept]

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

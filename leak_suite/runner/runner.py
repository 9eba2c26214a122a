"""Warm-up and rounds: how long each is, and when there can be no more."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from leak_suite.errors import SubjectError, SubjectHung
from leak_suite.metrics import METRICS, metric_named
from leak_suite.result import Series
from leak_suite.runner.limits import Limits
from leak_suite.runner.process_samples import ProcessSamples
from leak_suite.runner.samples import Samples
from leak_suite.subject import Round, Subject, Values

__all__ = ["Runner", "Stop"]

_WARM_UP_SECONDS = 0.15
_WARM_UP_ROUNDS = 2
ROUND_SECONDS = 0.06
_ROUNDS_AT_LEAST = 14
# Each round after the first ones is this part of all before it: sample counts stay small.
ROUND_SHARE = 0.08
# A long run is still looked at every few seconds, and leaves some thousand readings at most.
_LONGEST_ROUND_SECONDS = 5.0
_ROUNDS_AT_MOST = 2000
# Rounds of equal length would see a saw-tooth always at the same height.
ROUND_JITTER = 0.1
_WIDEST_GUARD = 64.0
# Where a reading is dear, growth that is real may go on for so many times longer between two.
_WIDEST_WHILE_GROWING = 8.0
_GRACE_SECONDS = 2.0
_UNBOUNDED = 1 << 40
_GUARDED = {
    name: metric.guard_limit for name, metric in METRICS.items() if metric.guard_limit is not None
}

T = TypeVar("T")
Reason = Literal["deadline", "growth", "failed", "hung", "died", "interrupted"]


@dataclass(frozen=True)
class Stop:
    """Why no more rounds can be had, in a word and in a sentence.

    `output` is what the subject wrote last, where the workload failed.
    """

    reason: Reason
    text: str
    output: str = ""


class Runner:
    """Drives one subject. `stop` says, once set, why there is no more to be had."""

    def __init__(
        self,
        subject: Subject,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subject = subject
        self._limits = limits
        self._clock = clock
        self._until = clock() + limits.seconds
        self._samples = Samples(lambda metric: metric_named(metric).unit)
        self._processes = ProcessSamples(lambda metric: metric_named(metric).unit)
        self._first: Values | None = None
        self._last: Values = {}
        self._guard_factor = 1.0
        self._settling = 0.0
        self._pace = 0.0
        self._random = random.Random(0)  # noqa: S311 - lengths of rounds, and the same every time
        self.frozen = 0
        self.iterations = 0
        self.seconds = 0.0
        self.overhead = 0.0
        self.warm_up_iterations = 0
        self.stop: Stop | None = None

    @property
    def series(self) -> tuple[Series, ...]:
        """Everything read so far, without what traces left in the subject."""
        return self._samples.series()

    def process_series(self, minimum_of: Callable[[str], float]) -> dict[str, tuple[Series, ...]]:
        """By group, what was read of the subject's other processes; see `ProcessSamples.series`."""
        return self._processes.series(minimum_of)

    def replaced_after(self, group: str) -> float | None:
        """Iterations that processes of `group` live for, where they are replaced; else None."""
        return self._processes.coarsest(group)

    @property
    def rounds(self) -> int:
        """How many readings there are, warm-up included."""
        return len(self._samples)

    @property
    def overhead_share(self) -> float | None:
        """Seconds of settling and reading after warm-up, for one second of workload."""
        return self.overhead / self.seconds if self.seconds > 0 else None

    @property
    def seconds_left(self) -> float:
        """Of the run's limit, on the clock."""
        return max(0.0, self._until - self._clock())

    def warm_up(self) -> None:
        """Repeat until first use is over, as far as a fraction of a second can tell."""
        spent, rounds, grew, count = 0.0, 0, 0, 1
        while self.stop is None:
            done = self._round(count, _WARM_UP_SECONDS - min(spent, _WARM_UP_SECONDS - 0.01))
            if done is None:
                break
            if not rounds:
                self.frozen = self._asked(self._subject.freeze) or 0
            rounds += 1
            spent += done.seconds
            grew = grew + 1 if done.stop_reason == "growth" else 0
            if (rounds >= _WARM_UP_ROUNDS and spent >= _WARM_UP_SECONDS) or grew >= 2:
                break
            count = max(1, min(count * 4, int((_WARM_UP_SECONDS - spent) / self._pace) + 1))
        self.warm_up_iterations = self.iterations
        self._samples.end_warm_up()
        self._processes.end_warm_up()
        self.seconds = self.overhead = 0.0

    def advance(self, more_iterations: int | None = None) -> None:
        """One more round, of at most `more_iterations`; sets `stop` if it cannot be had."""
        remaining = self._until - self._clock()
        if self.stop is not None:
            return
        if remaining <= max(self._pace, ROUND_SECONDS):
            self._end("deadline", f"the {self._limits.seconds:g} s for the run were up")
            return
        seconds = max(ROUND_SECONDS, self._settling / self._subject.overhead_share)
        seconds = max(min(seconds, self._limits.seconds / _ROUNDS_AT_LEAST), self._usual_round)
        uneven = self._random.uniform(1 - ROUND_JITTER, 1 + ROUND_JITTER)
        count = _UNBOUNDED if more_iterations is None else more_iterations
        if (most := self._processes.longest_round()) is not None:
            count = min(count, most)
        fewer = round(count * uneven / (1 + ROUND_JITTER))
        self._round(max(1, min(fewer, _UNBOUNDED)), min(seconds * uneven, remaining))

    def end_trace(self) -> None:
        """The subject was traced: what that left in it is no growth of the readings to come."""
        self._samples.end_trace()
        self._processes.end_trace()

    def interrupt(self) -> None:
        """No more rounds: the person or the machine in charge wants an end."""
        self._end("interrupted", f"the run was interrupted after {self.iterations:,} iterations")

    @property
    def _usual_round(self) -> float:
        longest = max(_LONGEST_ROUND_SECONDS, self._limits.seconds / _ROUNDS_AT_MOST)
        return min(ROUND_SHARE * self.seconds, longest)

    def _round(self, count: int, seconds: float) -> Round | None:
        timeout = max(0.0, self._until - self._clock()) + _GRACE_SECONDS
        done = self._asked(
            lambda: self._subject.round(
                count, seconds=seconds, guard_factor=self._guard_factor, timeout=timeout
            )
        )
        if done is None:
            return None
        self.iterations += done.done
        self.seconds += done.seconds
        self.overhead += done.overhead
        if done.error is not None:
            at = self.iterations + 1
            self._end(
                "failed", f"the workload failed at iteration {at:,}: {done.error}", done.output
            )
            if not done.done:
                return None
        # The last rounds tell best what the next one will cost; the first are dear.
        self._settling = min(done.overhead, 1.2 * self._settling or done.overhead)
        self._pace = max(done.seconds / max(1, done.done), 1e-9)
        self._record(done)
        return done

    def _record(self, done: Round) -> None:
        self._samples.add(self.iterations, done.values)
        self._processes.add(self.iterations, done.processes)
        first = self._first = self._first or done.values
        if done.stop_reason == "growth":
            self._widen(done)
        self._last = done.values
        if self.stop is None and (text := self._limits.exceeded(first, done.values)):
            self._end("growth", text)

    def _widen(self, done: Round) -> None:
        """Let the next round grow more, if the guard cut this one short in vain or too dearly."""
        grew = self._really_grew(done.values)
        dear = done.overhead > 1.5 * self._subject.overhead_share * done.seconds
        if not grew:
            self._guard_factor = min(_WIDEST_GUARD, self._guard_factor * 2)
        elif grew == {"rss"} and dear and self._guard_factor < _WIDEST_WHILE_GROWING:
            self._guard_factor *= 2  # of handles and threads there may be few left before it fails

    def _really_grew(self, now: Values) -> set[str]:
        """What stopped a round early and is still there after settling."""
        grew = set()
        for metric, limit in _GUARDED.items():
            before, value = self._last.get(metric), now.get(metric)
            if before is not None and value is not None and value - before >= limit / 2:
                grew.add(metric)
        return grew

    def _asked(self, question: Callable[[], T]) -> T | None:
        """The subject's answer; None if it is dead or hangs, which `stop` then explains."""
        try:
            return question()
        except SubjectHung as error:
            self._end("hung", f"the workload hung after {self.iterations:,} iterations: {error}")
        except SubjectError as error:
            self._end("died", f"{error} (after {self.iterations:,} iterations)")
        return None

    def _end(self, reason: Reason, text: str, output: str = "") -> None:
        if self.stop is None:
            self.stop = Stop(reason, text, output)

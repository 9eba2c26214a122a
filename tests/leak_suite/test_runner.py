"""The runner on a scripted subject and a scripted clock."""

from __future__ import annotations

from typing import Any

import pytest

from leak_suite.errors import SubjectError, SubjectHung
from leak_suite.runner import Limits, Runner
from leak_suite.runner.samples import Samples
from leak_suite.subject import About, Coverage, Round, Values


class Scripted:
    """Each iteration takes `pace` seconds of a made-up clock, and grows what `grows` says."""

    overhead_share = 1 / 75

    def __init__(self, pace: float, **grows: float) -> None:
        self.about = About()
        self.now = 0.0
        self.done = 0
        self.rounds: list[int] = []
        self.guard_factors: list[float] = []
        self.pace = pace
        self.grows = grows
        self.overhead = 0.001
        self.trips = False
        self.fault: dict[int, Exception | str] = {}
        self.frozen_after: int | None = None

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def clock(self) -> float:
        return self.now

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        fault = self.fault.get(len(self.rounds))
        if isinstance(fault, Exception):
            self.now += (timeout or 0.0) if isinstance(fault, SubjectHung) else 0.0
            raise fault
        done = min(iterations, max(1, int(seconds / self.pace + 0.5)))
        if fault is not None:
            done //= 2
        self.rounds.append(done)
        self.guard_factors.append(guard_factor)
        self.done += done
        self.now += done * self.pace + self.overhead
        stop_reason = "growth" if self.trips else "done"
        return Round(done, done * self.pace, self.overhead, stop_reason, fault, self.read())

    def read(self) -> Values:
        return {name: 100 + rate * self.done for name, rate in self.grows.items()}

    def coverage(self) -> Coverage:
        return Coverage(1, 1)

    def describe(self, kind: str) -> list[Any]:
        del kind
        return []

    def freeze(self) -> int:
        self.frozen_after = self.done
        return 5


def run(subject: Scripted, rounds: int = 10, **limits: Any) -> Runner:
    runner = Runner(subject, Limits(**limits), clock=subject.clock)
    runner.warm_up()
    for _ in range(rounds):
        runner.advance()
    return runner


def test_a_fast_job_warms_up_in_a_fraction_of_a_second() -> None:
    subject = Scripted(0.00001, fds=0)
    runner = run(subject, rounds=0)
    assert subject.now < 0.3
    assert runner.warm_up_iterations == subject.done
    assert subject.frozen_after == 1


def test_a_slow_job_warms_up_by_one_or_two_iterations_and_has_rounds_of_one() -> None:
    subject = Scripted(7.0, fds=0)
    runner = run(subject, rounds=5)
    assert runner.warm_up_iterations <= 2
    assert set(subject.rounds) == {1}


def test_settling_takes_at_most_a_fiftieth_of_the_workload() -> None:
    subject = Scripted(0.00001, fds=0)
    subject.overhead = 0.02
    runner = run(subject, rounds=10)
    assert runner.overhead_share is not None
    assert runner.overhead_share <= 0.02


def test_rounds_grow_so_that_a_long_run_has_few_samples() -> None:
    subject = Scripted(0.001, fds=0)
    runner = run(subject, rounds=500, seconds=600)
    assert runner.stop is not None
    assert runner.rounds < 200


def test_what_the_verdict_asks_for_bounds_a_round() -> None:
    subject = Scripted(0.00001, fds=0)
    runner = run(subject, rounds=0)
    runner.advance(17)
    assert 14 <= subject.rounds[-1] <= 17


def test_rounds_are_of_uneven_length_and_the_same_every_time() -> None:
    first, second = (Scripted(0.0001, fds=0) for _ in range(2))
    run(first, rounds=12)
    run(second, rounds=12)
    lengths = first.rounds[-12:]
    assert len(set(lengths)) >= 6
    assert max(lengths) <= 1.25 * min(lengths)
    assert first.rounds == second.rounds


def test_a_run_of_hours_is_looked_at_every_few_seconds() -> None:
    subject = Scripted(0.05, fds=0)
    run(subject, rounds=150, seconds=7200.0)
    assert max(subject.rounds) * subject.pace < 6.0


def test_a_run_that_is_interrupted_has_no_more_rounds() -> None:
    subject = Scripted(0.001, fds=0)
    runner = run(subject, rounds=2)
    before = list(subject.rounds)
    runner.interrupt()
    runner.advance()
    assert subject.rounds == before
    assert runner.stop is not None
    assert runner.stop.reason == "interrupted"


def test_the_deadline_ends_a_run() -> None:
    subject = Scripted(0.5, fds=0)
    runner = run(subject, rounds=100, seconds=5)
    assert runner.stop is not None
    assert runner.stop.reason == "deadline"
    assert subject.now < 6.5


@pytest.mark.parametrize(
    ("metric", "rate", "limit"),
    [
        ("rss", 1e6, {"growth_bytes": 10**8}),
        ("fds", 1, {"fds": 50}),
        ("threads", 1, {"threads": 50}),
    ],
)
def test_growth_ends_a_run_at_its_limit(metric: str, rate: float, limit: dict[str, int]) -> None:
    runner = run(Scripted(0.01, **{metric: rate}), rounds=100, **limit)
    assert runner.stop is not None
    assert runner.stop.reason == "growth"
    assert metric in runner.stop.text


def test_a_failing_workload_is_reported_with_its_iteration() -> None:
    subject = Scripted(0.01, fds=1)
    subject.fault[6] = "ValueError: no"
    runner = run(subject, rounds=100)
    assert runner.stop is not None
    assert runner.stop.reason == "failed"
    assert f"iteration {runner.iterations + 1:,}" in runner.stop.text
    assert runner.series[0].samples[-1] == (runner.iterations, 100 + runner.iterations)


@pytest.mark.parametrize(
    ("error", "reason"), [(SubjectHung("silent"), "hung"), (SubjectError("SIGSEGV"), "died")]
)
def test_a_subject_that_hangs_or_dies_ends_the_run(error: Exception, reason: str) -> None:
    subject = Scripted(0.01, fds=1)
    subject.fault[5] = error
    runner = run(subject, rounds=100)
    assert runner.stop is not None
    assert runner.stop.reason == reason
    assert runner.rounds == 5


def test_the_guard_is_widened_for_what_only_looks_like_growth() -> None:
    subject = Scripted(0.01, rss=0)
    subject.trips = True
    run(subject, rounds=8)
    assert subject.guard_factors[-1] > 8


def test_the_guard_stays_tight_for_what_grows() -> None:
    subject = Scripted(0.01, rss=2 << 20)
    subject.trips, subject.overhead = True, 0.00001
    run(subject, rounds=8)
    assert set(subject.guard_factors[2:]) == {subject.guard_factors[2]}


def test_where_a_reading_is_dear_more_memory_may_grow_between_two() -> None:
    subject = Scripted(0.01, rss=1 << 20)
    subject.trips, subject.overhead = True, 0.1
    run(subject, rounds=12)
    assert subject.guard_factors[-1] == 8.0


def test_the_guard_stays_tight_for_handles_however_dear_a_reading_is() -> None:
    subject = Scripted(0.01, rss=1 << 20, fds=2)
    subject.trips, subject.overhead = True, 0.1
    run(subject, rounds=12, fds=10**6)
    assert set(subject.guard_factors[2:]) == {subject.guard_factors[2]}


def test_samples_double_their_room_and_keep_unknown_unknown() -> None:
    samples = Samples(lambda _: "bytes")
    for n in range(3000):
        samples.add(n, {"heap": None if n % 2 else float(n), "fds": 3.0})
    heap, fds = samples.series()
    assert len(heap.samples) == len(fds.samples) == 3000
    assert heap.samples[2999] == (2999, None)
    assert heap.samples[2998] == (2998, 2998.0)


def test_the_last_reading_of_warm_up_is_where_judging_starts() -> None:
    samples = Samples(lambda _: "bytes")
    for n in range(3):
        samples.add(n, {"heap": float(n), "peak": float(n)})
    samples.end_warm_up()
    samples.add(3, {"heap": 3.0, "peak": 3.0})
    heap, peak = samples.series()
    assert heap.judged() == ((2, 2.0), (3, 3.0))
    assert peak.judged() == ((3, 3.0),)


def test_what_a_trace_leaves_in_the_subject_is_no_growth_but_the_pace_before_it_goes_on() -> None:
    samples = Samples(lambda _: "bytes")
    for n in range(0, 100, 10):
        samples.add(n, {"heap": 3.0 * n, "fds": 5.0})
        if n == 10:
            samples.end_warm_up()
    samples.end_trace()
    for n in range(100, 200, 10):
        samples.add(n, {"heap": 40_000.0 + 3.0 * n, "fds": 7.0})
    heap, fds = samples.series()
    assert heap.samples == tuple((n, 3.0 * n) for n in range(0, 200, 10))
    assert fds.samples[-1] == (190, 7.0)


def test_memory_that_is_given_back_after_a_trace_stays_given_back() -> None:
    samples = Samples(lambda _: "bytes")
    for n, value in enumerate((100.0, 110.0, 120.0)):
        samples.add(n, {"heap": value})
    samples.end_trace()
    samples.add(3, {"heap": 20.0})
    (heap,) = samples.series()
    assert heap.samples[-1] == (3, 20.0)

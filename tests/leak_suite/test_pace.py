"""Growth by iteration and growth by second are told apart by a phase that idles."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.remedies.__main__ import PLANTED
from leak_suite.explain.pace import grows_with, judge_phases, watch_phases
from leak_suite.explain.result import Explanation, GrowthDriver, Phase
from leak_suite.render import render
from leak_suite.result import Finding, Outcome
from leak_suite.subject import CallableSpec, Work
from tests.leak_suite.test_explain import EXPLAINED


def phases(by_iteration: float, by_second: float) -> list[Phase]:
    return [
        Phase(name, n, s, by_iteration * n + by_second * s)
        for name, n, s in (("at work", 1000, 2.0), ("idle", 0, 2.0), ("slower", 450, 2.1))
    ]


@pytest.mark.parametrize(
    ("by_iteration", "by_second", "kind"),
    [(100.0, 0.0, "work"), (0.0, 5000.0, "clock"), (100.0, 50_000.0, "both")],
)
def test_the_phases_tell_what_growth_goes_with(
    by_iteration: float, by_second: float, kind: str
) -> None:
    found = judge_phases("heap", "bytes", phases(by_iteration, by_second))
    assert found is not None
    assert found.kind == kind
    assert found.per_iteration == pytest.approx(by_iteration, abs=1e-6)
    assert found.per_second == pytest.approx(by_second, abs=1e-6)


def test_a_little_of_the_other_does_not_make_it_both() -> None:
    found = judge_phases("heap", "bytes", phases(100.0, 5000.0))
    assert found is not None
    assert found.kind == "work"


def test_a_phase_that_could_not_be_read_tells_nothing() -> None:
    known = phases(100.0, 0.0)
    assert judge_phases("heap", "bytes", [*known[:2], Phase("slower", 450, 2.0, None)]) is None
    assert judge_phases("heap", "bytes", phases(0.0, 0.0)) is None


class Made:
    """A subject on a clock of its own, each iteration of which takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done = 0

    def work(self, iterations: int, *, seconds: float) -> Work:
        count = min(iterations, max(1, round(seconds * 100)))
        self.done += count
        self.now += count / 100
        return Work(count, count / 100, "time", None)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("kind", ["work", "clock"])
def test_a_subject_works_idles_and_works_at_a_slower_pace(kind: str) -> None:
    made: Any = Made()

    def value() -> float:
        return made.done * 64.0 if kind == "work" else made.now * 2048.0

    found = watch_phases(made, value, 10_000, sleep=made.sleep, clock=lambda: made.now)
    work, idle, slower = found
    assert idle.iterations == 0
    assert 0 < slower.iterations / slower.seconds < 0.7 * work.iterations / work.seconds
    growth = judge_phases("heap", "bytes", found)
    assert growth is not None
    assert growth.kind == kind


def test_a_fast_leak_adds_no_more_than_it_may_in_a_phase() -> None:
    made: Any = Made()
    found = watch_phases(
        made, lambda: float(made.done), 50, sleep=made.sleep, clock=lambda: made.now
    )
    assert [one.iterations for one in found] == [50, 0, 50]


@pytest.mark.parametrize(
    "planted", [one for one in PLANTED if one.grows_with], ids=lambda one: one.name
)
def test_a_planted_leak_grows_with_what_it_was_made_to(planted: Any) -> None:
    finding = Finding("heap", "bytes", Outcome.GROWING, rate=32768.0, interval=(32000.0, 33000.0))
    with CallableSpec(planted.words[0]).open() as subject:
        found = grows_with(subject, [finding], seconds=0.5)
    assert found is not None
    assert found.kind == planted.grows_with, found


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_every_form_says_what_it_grows_with(form: str) -> None:
    growth = GrowthDriver("clock", "heap", "bytes", 0.0, 2150.4, tuple(phases(0.0, 2150.4)))
    explained = Explanation(**{**vars(EXPLAINED), "growth": growth})
    text = " ".join(render(explained, form).split())
    assert "It grows with time, whether or not it is used: heap by 2.1 KiB a second." in text

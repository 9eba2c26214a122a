"""Growth in a container: filling up to a bound, emptied at times, or a leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from leak_suite.checks.filling import settled
from leak_suite.options import Options
from leak_suite.result import (
    Cause,
    Finding,
    GrowingContainer,
    Outcome,
    Series,
    Site,
)
from leak_suite.units import MIB
from leak_suite.verdict.filling import emptied_at_times, fell, judged_filling
from leak_suite.verdict.reconcile import Verdict

ALLOWANCE = 512.0 * MIB


def container(**more: Any) -> GrowingContainer:
    what: dict[str, Any] = {
        "holder": "shop.CACHE", "type": "dict", "length": 1_000, "per_iteration": 1.0,
        "growth": 500.0, "entry_bytes": 500.0, "bound": 100_000, "bounded_by": "maxsize",
        "lines": ("shop.py:6",),
    }  # fmt: skip
    return GrowingContainer(**{**what, **more})


def growing(*containers: GrowingContainer, metric: str = "heap", **more: Any) -> Finding:
    what: dict[str, Any] = {
        "rate": 510.0, "peak": 20.0 * MIB, "sites": (Site("shop.py", 6, "job", 500.0),),
    }  # fmt: skip
    unit = "bytes" if metric != "blocks" else "blocks"
    return Finding(
        metric, unit, Outcome.GROWING, Cause.LEAK, containers=containers, **{**what, **more}
    )


def judged(*findings: Finding, **more: Any) -> Finding:
    given: dict[str, Any] = {"budgets": {}, "allowance": ALLOWANCE, "pace": 0.001, **more}
    return judged_filling(findings, **given)[0]


# -- bounded containers, from facts


def test_a_container_below_its_bound_is_filling_and_says_when_it_is_full_and_how_large() -> None:
    found = judged(growing(container()))
    assert (found.outcome, found.cause) == (Outcome.STABLE, Cause.FILLING)
    assert "shop.CACHE, filled at shop.py:6, bounded by maxsize; 1,000 of 100,000" in found.reason
    assert "full after 99,000 more iterations, 99.0 s" in found.reason
    assert "about 48.6 MiB, within the allowance of 512 MiB" in found.reason  # 510 B x 100,000


def test_a_container_that_got_full_while_it_was_traced_was_filling() -> None:
    found = judged(growing(container(length=100_000)))
    assert (found.outcome, found.cause) == (Outcome.STABLE, Cause.FILLING)
    assert "100,000 of 100,000 entries" in found.reason
    assert "At this pace" not in found.reason


def test_a_container_that_is_too_large_when_full_is_over_budget() -> None:
    found = judged(growing(container(bound=10_000_000)))
    assert (found.outcome, found.cause) == (Outcome.OVER_BUDGET, Cause.FILLING)
    assert "over the allowance of 512 MiB" in found.reason


@pytest.mark.parametrize(
    ("budget", "outcome"), [(60.0, Outcome.OVER_BUDGET), (80.0, Outcome.STABLE)]
)
def test_a_budget_stands_before_the_allowance(budget: float, outcome: Outcome) -> None:
    # 20 MiB now and 99,000 entries of 510 bytes: 68 MiB.
    found = judged(growing(container()), budgets={"heap": budget * MIB}, allowance=1.0)
    assert found.outcome is outcome
    assert "its budget of" in found.reason


def test_the_size_of_a_full_container_is_in_bytes_where_blocks_are_counted() -> None:
    found = judged(growing(container(growth=2.0), metric="blocks", rate=2.0, sites=()))
    assert found.cause is Cause.FILLING
    assert "Full it takes about 47.7 MiB" in found.reason


@pytest.mark.parametrize(
    "containers",
    [
        (container(bound=None, bounded_by=""),),
        (container(growth=200.0),),  # less than half of it is explained
        (container(), container(holder="shop.AUDIT", growth=60.0, bound=None)),
        (),
    ],
)
def test_growth_that_no_bound_explains_stays_a_leak(
    containers: tuple[GrowingContainer, ...],
) -> None:
    finding = growing(*containers)
    assert judged(finding) == finding


def test_a_line_beside_the_filling_container_stays_a_leak() -> None:
    beside = (Site("shop.py", 6, "job", 500.0), Site("shop.py", 9, "job", 100.0))
    finding = growing(container(), rate=600.0, sites=beside)
    assert judged(finding) == finding


def test_a_line_that_grew_once_while_it_was_traced_is_no_leak_beside_it() -> None:
    once = (Site("shop.py", 6, "job", 500.0), Site("shop.py", 9, "job", 100.0, is_jump=True))
    assert judged(growing(container(), rate=600.0, sites=once)).cause is Cause.FILLING


def test_a_bound_that_is_passed_already_does_not_excuse_and_is_reported() -> None:
    found = judged(growing(container(length=5_000, bound=100)))
    assert (found.outcome, found.cause) == (Outcome.GROWING, Cause.LEAK)
    assert "The bound of shop.CACHE (maxsize) does not hold: 5,000 entries, 100" in found.reason


def test_resident_memory_follows_a_container_that_fills_and_nothing_larger() -> None:
    heap, early = growing(container()), Cause.STOPPED_EARLY
    rss = growing(metric="rss", rate=600.0)
    large = growing(metric="rss_anon", rate=900.0)
    unread = Finding("pss", "bytes", Outcome.INCONCLUSIVE, early, rate=550.0)
    found = judged_filling([heap, rss, large, unread], budgets={}, allowance=ALLOWANCE, pace=1.0)
    assert [f.cause for f in found] == [Cause.FILLING, Cause.FILLING, Cause.LEAK, Cause.FILLING]


def test_resident_memory_is_no_excuse_while_live_memory_leaks() -> None:
    blocks = growing(metric="blocks", rate=3.0)
    found = judged_filling(
        [blocks, growing(container()), growing(metric="rss")],
        budgets={}, allowance=ALLOWANCE, pace=1.0,
    )  # fmt: skip
    assert [f.outcome for f in (found[0], found[2])] == [Outcome.GROWING] * 2


def test_a_heap_without_a_line_follows_a_container_that_fills_by_no_more_than_it_takes() -> None:
    blocks = growing(container(growth=2.0), metric="blocks", rate=2.0, sites=())
    steps, leak = growing(rate=80.0, sites=()), growing(rate=5_000.0, sites=())
    once = growing(rate=80.0, sites=(Site("shop.py", 6, "job", 500.0, is_jump=True),))
    for heap, cause in (
        (steps, Cause.FILLING),
        (once, Cause.FILLING),
        (leak, Cause.LEAK),
        (growing(rate=80.0), Cause.LEAK),
    ):
        found = judged_filling([blocks, heap], budgets={}, allowance=ALLOWANCE, pace=1.0)
        assert found[1].cause is cause


# -- containers that are emptied at times


def test_only_growth_in_what_code_empties_is_worth_watching() -> None:
    emptied = container(bound=None, emptied_at=("shop.py:9",))
    assert emptied_at_times([growing(emptied)]) == {"heap": emptied}
    assert emptied_at_times([growing(emptied), growing(metric="rss")]).keys() == {"heap", "rss"}
    for leaking in (
        [growing(container(bound=None))],
        [growing(emptied), growing(metric="fds", rate=1.0)],
        [growing(emptied), growing(metric="rss", rate=5_000.0)],
        [growing(emptied, process="worker")],
    ):
        assert emptied_at_times(leaking) == {}


def test_a_series_fell_if_most_of_its_growth_was_given_back_after_that_iteration() -> None:
    teeth = Series("heap", "bytes", tuple((n, float(n % 100)) for n in range(0, 200, 9)))
    assert fell(teeth, since=60) == (99.0, 8.0)
    ramp = Series("heap", "bytes", tuple((n, float(n)) for n in range(0, 200, 9)))
    assert fell(ramp, since=60) is None
    assert fell(Series("heap", "bytes"), since=0) is None


# -- growth that stops before it is traced


class Readings:
    """A runner with made-up readings of blocks: a thousand iterations are done."""

    def __init__(self, value: Callable[[int], float], process: str = "") -> None:
        self._value = value
        self._process = process
        self.iterations, self.warm_up_iterations, self.stop = 0, 0, None
        self._read = Series("blocks", "blocks", process=process)
        while self.iterations < 1_000:
            self.advance()

    @property
    def seconds(self) -> float:
        return 0.001 * self.iterations

    def advance(self, more: int | None = None) -> None:
        self.iterations += min(more or 100, 100)
        sample = (self.iterations, self._value(self.iterations))
        self._read = replace(self._read, samples=(*self._read.samples, sample))

    @property
    def series(self) -> tuple[Series, ...]:
        return () if self._process else (self._read,)

    def process_series(self, _: object) -> dict[str, tuple[Series, ...]]:
        return {self._process: (self._read,)} if self._process else {}


def settled_after(
    value: Callable[[int], float], *later: Finding, process: str = ""
) -> tuple[Finding, Finding]:
    """(the finding of growth by four blocks, what it is after the trace)"""
    found = growing(metric="blocks", rate=4.0, process=process)
    verdict = Verdict(later, Outcome.STABLE, done=True)
    runner: Any = Readings(value, process)
    (after,) = settled([found], runner, Options(), lambda *_: verdict, lambda: None)
    return found, after


@pytest.mark.parametrize("process", ["", "main process"])
def test_growth_that_had_stopped_by_the_time_of_its_trace_is_judged_anew(process: str) -> None:
    still = Finding("blocks", "blocks", Outcome.STABLE, process=process)
    _, after = settled_after(lambda n: 4.0 * min(n, 1_000), still, process=process)
    assert after == still


def test_growth_that_slows_down_after_its_trace_is_watched_until_it_stops() -> None:
    still = Finding("blocks", "blocks", Outcome.STABLE)
    _, after = settled_after(
        lambda n: 4.0 * min(n, 1_000) + 2.0 * min(max(0, n - 1_000), 150), still
    )
    assert after == still


def test_growth_at_half_the_rate_that_does_not_stop_keeps_its_verdict() -> None:
    found, after = settled_after(lambda n: 4.0 * min(n, 1_000) + 2.0 * max(0, n - 1_000))
    assert after == found


def test_growth_that_goes_on_after_its_trace_needs_no_other_verdict() -> None:
    found, after = settled_after(lambda n: 4.0 * n)
    assert after == found


def test_growth_that_begins_again_keeps_the_lines_that_were_traced() -> None:
    again = growing(metric="blocks", rate=3.0, sites=())
    found, after = settled_after(lambda n: 4.0 * min(n, 1_000) + 4.0 * max(0, n - 1_200), again)
    assert after == found


def test_growth_that_has_stopped_is_not_growing_though_the_verdict_on_all_of_it_still_is() -> None:
    again = growing(metric="blocks", rate=3.0)
    _, after = settled_after(lambda n: 4.0 * min(n, 1_000), again)
    assert after.outcome is Outcome.INCONCLUSIVE
    assert "too unevenly or too briefly" in after.reason

"""What is counted and grew until the run had to end is growth, with however few readings."""

from __future__ import annotations

import pytest

from leak_suite.result import Outcome, Series
from leak_suite.verdict import Tolerance, judge_all
from leak_suite.verdict.exhaustion import grew_to_the_end

COUNTED = Tolerance(exact=True, unit="descriptors")


def counted(*values: float) -> Series:
    return Series("fds", "descriptors", tuple((4 * i, v) for i, v in enumerate(values)))


def test_a_pool_that_ran_out_is_growing() -> None:
    finding = grew_to_the_end(counted(9, 10, 12, 22), COUNTED)
    assert finding is not None
    assert finding.outcome is Outcome.GROWING
    assert finding.rate == pytest.approx(13 / 12)
    assert "from 9 descriptors to 22 descriptors in 4 readings" in finding.reason


def test_a_last_iteration_that_closed_as_much_as_it_leaked_hides_nothing() -> None:
    """As read of a pool of 15 connections: with its error the server closed the client's own."""
    samples = ((1, 9.0), (2, 10.0), (7, 15.0), (14, 22.0), (15, 22.0))
    finding = grew_to_the_end(Series("fds", "descriptors", samples, 1), COUNTED)
    assert finding is not None
    assert finding.rate == pytest.approx(13 / 14)


def test_growth_that_was_over_before_the_last_quarter_is_not_growth_to_the_end() -> None:
    samples = ((1, 9.0), (2, 15.0), (7, 22.0), (10, 22.0), (15, 22.0))
    assert grew_to_the_end(Series("fds", "descriptors", samples, 1), COUNTED) is None


@pytest.mark.parametrize(
    "values",
    [
        (9, 22),
        (9, 9, 9, 9),
        (9, 22, 22, 22, 22),
        (9, 12, 10, 22),
        (9, 10, 11, 12),
    ],
    ids=["two readings", "level", "a step and then level", "a fall", "less than the minimum"],
)
def test_what_does_not_grow_to_the_end_is_not(values: tuple[float, ...]) -> None:
    assert grew_to_the_end(counted(*values), COUNTED) is None


def test_memory_is_never_judged_from_so_few_readings() -> None:
    series = Series("heap", "bytes", tuple((i, 1e6 * i) for i in range(4)))
    assert grew_to_the_end(series, Tolerance(exact=False, unit="bytes")) is None


@pytest.mark.parametrize("exhausted", [True, False])
def test_only_a_run_that_had_to_end_is_judged_so(exhausted: bool) -> None:
    verdict = judge_all([counted(9, 10, 12, 22)], {"fds": COUNTED}, final=True, exhausted=exhausted)
    assert verdict.outcome is (Outcome.GROWING if exhausted else Outcome.INCONCLUSIVE)


def test_threads_that_grow_beside_memory_are_growing_too() -> None:
    memory = Series("heap", "bytes", tuple((i, 1e8 * i) for i in range(6)))
    threads = Series("threads", "threads", tuple((i, 1.0 + i) for i in range(6)))
    allowed = {
        "heap": Tolerance(exact=False, unit="bytes"),
        "threads": Tolerance(exact=True, unit="threads"),
    }
    found = {f.metric: f for f in judge_all([memory, threads], allowed, final=True).findings}
    assert found["heap"].outcome is Outcome.GROWING
    assert found["threads"].outcome is Outcome.GROWING
    assert found["threads"].rate == pytest.approx(1.0)


def test_what_filled_early_and_trickles_since_is_stable() -> None:
    """As the main process of a task queue: a set of 1,000 results fills, then next to nothing."""
    filling = [314_000 + 4 * min(n, 1000) + n // 300 for n in range(0, 2700, 60)]
    series = Series("blocks", "blocks", tuple((60 * i, float(v)) for i, v in enumerate(filling)))
    allowed = {"blocks": Tolerance(exact=False, unit="blocks", min_rate=0.02)}
    assert judge_all([series], allowed, final=True, seconds=24).outcome is Outcome.STABLE

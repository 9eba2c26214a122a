"""What a trial's figures mean, on made-up trials, and the search on made-up services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from leak_suite.fit.result import FitCause, KilledProcess
from leak_suite.fit.run import smallest_passing
from leak_suite.fit.trial import Trial, TrialEnd
from leak_suite.fit.verdict import judge_trial

MIB = 1 << 20
UNLIMITED = Trial(
    limit=None, end=TrialEnd.DONE, done=10, seconds=10.0, start_seconds=1.0, major_faults=0.0
)
GOOD = replace(UNLIMITED, limit=512 * MIB, limit_hits=3, major_faults=5.0, refaults=100.0)


def test_a_trial_like_the_unlimited_one_fits() -> None:
    verdict = judge_trial(GOOD, UNLIMITED)
    assert (verdict.fits, verdict.cause, verdict.slowdown) == (True, "fits", 1.0)


def test_one_kill_is_enough_although_all_iterations_were_done() -> None:
    worker = KilledProcess(77, "python worker.py", is_server=False, anon=300 * MIB)
    verdict = judge_trial(replace(GOOD, oom_kills=1, killed=(worker,)), UNLIMITED)
    assert (verdict.fits, verdict.cause) == (False, "killed")
    assert "pid 77: python worker.py" in verdict.reason
    assert "although the server lives" in verdict.reason


def test_a_kill_of_the_server_itself_has_a_reason_of_its_own() -> None:
    server = KilledProcess(70, "python -m uvicorn", is_server=True, anon=300 * MIB)
    trial = replace(GOOD, oom_kills=1, killed=(server,), end=TrialEnd.DIED, server_alive=False)
    assert judge_trial(trial, UNLIMITED).reason == "the kernel killed the server itself"


@pytest.mark.parametrize(
    "paging", [{"refaults": 20_000.0}, {"major_faults": 4000.0}, {"stalled_seconds": 9.0}]
)
def test_three_times_slower_with_paging_is_thrashing(paging: dict[str, float]) -> None:
    verdict = judge_trial(replace(GOOD, seconds=30.0, **paging), UNLIMITED)
    assert (verdict.fits, verdict.cause) == (False, "thrashing")
    assert "3.0 times slower" in verdict.reason


def test_three_times_slower_without_paging_is_a_busy_machine() -> None:
    assert judge_trial(replace(GOOD, seconds=30.0), UNLIMITED).fits is True


def test_pages_read_while_the_limit_was_never_reached_are_a_cold_start() -> None:
    trial = replace(GOOD, seconds=30.0, refaults=90_000.0, limit_hits=0)
    assert judge_trial(trial, UNLIMITED).fits is True


def test_paging_without_slowing_down_does_no_harm() -> None:
    assert judge_trial(replace(GOOD, refaults=90_000.0), UNLIMITED).fits is True


def test_a_collapse_does_not_fit_whatever_the_counters_say() -> None:
    verdict = judge_trial(replace(GOOD, seconds=61.0, refaults=None, major_faults=None), UNLIMITED)
    assert (verdict.fits, verdict.cause) == (False, "thrashing")


def test_no_iteration_in_time_and_heavy_paging_is_thrashing() -> None:
    trial = replace(GOOD, done=0, end=TrialEnd.TIME, seconds=60.0, refaults=900_000.0)
    assert judge_trial(trial, UNLIMITED).cause == "thrashing"


def test_no_iteration_in_time_without_paging_cannot_be_judged() -> None:
    verdict = judge_trial(replace(GOOD, done=0, end=TrialEnd.TIME, seconds=60.0), UNLIMITED)
    assert (verdict.fits, verdict.cause) == (None, FitCause.TOO_FEW)


def test_a_workload_that_fails_only_under_the_limit_does_not_fit() -> None:
    verdict = judge_trial(replace(GOOD, end=TrialEnd.FAILED, error="503 memory\nshort"), UNLIMITED)
    assert (verdict.fits, verdict.cause) == (False, "failed")
    assert "503 memory short" in verdict.reason


def test_a_service_that_does_not_start_under_the_limit_does_not_fit() -> None:
    trial = Trial(1, TrialEnd.NOT_STARTED, 0, 0.0, 30.0, error="it did not listen within 30 s")
    assert judge_trial(trial, UNLIMITED).cause == "not started"


def needs(size: int) -> tuple[Callable[[int], bool], list[int]]:
    tried: list[int] = []

    def passes(limit: int) -> bool:
        tried.append(limit)
        return limit >= size

    return passes, tried


@pytest.mark.parametrize("size", [17, 97, 100, 249, 250, 397, 511])
def test_the_smallest_limit_is_found_to_the_tolerance(size: int) -> None:
    passes, tried = needs(size)
    found = smallest_passing(passes, low=300, high=512, tolerance=4, high_passes=True, highest=2048)
    assert found is not None
    assert size <= found <= size + 4
    assert len(tried) <= 10


def test_what_does_not_pass_the_limit_is_searched_above_it() -> None:
    passes, _ = needs(900)
    found = smallest_passing(passes, low=500, high=512, tolerance=8, highest=2048)
    assert found is not None
    assert 900 <= found <= 908


def test_a_service_that_fits_nowhere_has_no_minimum() -> None:
    passes, tried = needs(10_000)
    assert smallest_passing(passes, low=500, high=512, tolerance=8, highest=2048) is None
    assert max(tried) == 2048


def test_a_limit_that_is_known_to_pass_is_not_tried_again() -> None:
    passes, tried = needs(400)
    smallest_passing(passes, low=390, high=512, tolerance=8, high_passes=True, highest=2048)
    assert 512 not in tried

"""When a refused client is asked to come back: worked out from what runs, never from hope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from reference_app.factories import ServiceFactories
from reference_app.jobs.retry_after import JobPace, estimated_wait_seconds
from reference_app.jobs.store import update
from tests.reference_app.conftest import HandClock, Running, until
from tests.reference_app.stand_in_engine import make_engine
from tests.reference_app.test_jobs import fill


@pytest.mark.parametrize(
    ("running", "usual", "expected"),
    [
        # Half-way after ten seconds: ten more, a quarter of that, and one for the next to start.
        ([JobPace(12.0, 10.0, 0.5, 0.5)], 1.0, 14),
        ([JobPace(12.0, 10.0, 0.5, 0.5)], 500.0, 14),
        ([JobPace(12.0, 10.0, 1.0, 1.0)], 500.0, 1),
        ([JobPace(999.0, 900.0, 0.05, 0.05)], 1.0, 300),
        # The first to end makes room.
        ([JobPace(10.0, 10.0, 0.5, 0.5), JobPace(30.0, 30.0, 0.1, 0.1)], 1.0, 14),
        # Nothing shown yet: as long as is usual, and once that is over, as long again.
        ([JobPace(0.0, 0.0, 0.0, 0.0)], 10.0, 14),
        ([JobPace(2.0, 0.0, 0.0, 0.0)], 10.0, 11),
        ([JobPace(40.0, 0.0, 0.0, 0.0)], 10.0, 51),
        # Two at once may each take twice as long as one that ran alone.
        ([JobPace(2.0, 0.0, 0.0, 0.0), JobPace(1.0, 0.0, 0.0, 0.0)], 10.0, 11),
        # A first picture is no pace yet.
        ([JobPace(2.0, 0.1, 0.003, 0.003)], 10.0, 11),
        # The first progress came late and was large: only what followed tells the pace.
        ([JobPace(5.0, 1.0, 0.05, 0.15)], 10.0, 23),
        ([JobPace(5.0, 0.1, 0.0, 0.1)], 10.0, 8),
        # What has shown nothing may be as long as any other: no hope while others are known.
        ([JobPace(12.0, 10.0, 0.5, 0.5), JobPace(0.5, 0.0, 0.0, 0.0)], 1.0, 14),
        # Nothing runs: as long as is usual.
        ([], 10.0, 14),
        ([], 0.0, 1),
    ],
)
def test_the_wait_is_what_is_left_of_the_first_job_to_end_and_a_margin(
    running: list[JobPace], usual: float, expected: int
) -> None:
    assert estimated_wait_seconds(running, usual) == expected


@pytest.mark.parametrize("usual", [0.2, 1.0, 20.0])
@pytest.mark.parametrize("lengths", [(0.5, 60.0), (8.0, 60.0), (60.0, 60.0), (90.0, 220.0)])
@pytest.mark.parametrize("share", [0.06, 0.3, 0.6, 0.97])
def test_quick_and_slow_jobs_at_once_have_made_room_by_then(
    lengths: tuple[float, float], usual: float, share: float
) -> None:
    """Whatever was usual before: what runs now is known by its own pace."""
    start_up, moment = 2.0, share * min(lengths)
    running = [
        JobPace(start_up + moment, moment, moment / length, moment / length) for length in lengths
    ]
    first_end = min(length for length in lengths if moment / length >= 0.05) - moment
    assert first_end <= estimated_wait_seconds(running, usual) <= 1.25 * first_end + 2


def test_a_job_that_has_just_begun_beside_a_slow_one_is_not_taken_for_a_quick_one() -> None:
    slow, new = JobPace(22.0, 20.0, 0.25, 0.25), JobPace(1.0, 0.0, 0.0, 0.0)
    assert estimated_wait_seconds([slow, new], 1.0) >= 60


def test_more_progress_never_makes_the_wait_longer() -> None:
    estimates = [
        estimated_wait_seconds([JobPace(6.0, 5.0, done / 100, done / 100)], 60.0)
        for done in range(5, 101)
    ]
    assert estimates == sorted(estimates, reverse=True)


def changed(service: Running, job_id: str, **changes: Any) -> None:
    """Put another record in the place of a job's."""
    store = service.container.store
    change = partial(replace, **changes)
    service.call(update(store, job_id, lambda job, _: change(job, version=job.version + 1)))


def report_progress(service: Running, job_id: str, share: float) -> None:
    """Let a running job have got so far."""
    store = service.container.store
    service.call(update(store, job_id, lambda job, now: job.beaten(1, now, 30.0, (share, "On"))))


def test_a_full_queue_behind_slow_jobs_after_quick_ones_tells_the_slow_ones_time(
    serve: Callable[..., Running],
) -> None:
    clock = HandClock()
    service = serve(ServiceFactories(engine=make_engine, clock=lambda: clock))
    for _ in range(3):
        service.wait(service.start("quick"), "completed")
    running, _ = fill(service)
    until(lambda: all(service.status(job_id)["progress"] for job_id in running))
    clock.monotonic_ahead = 40
    for job_id in running:
        report_progress(service, job_id, 0.75)
    # A quarter took forty seconds, and a quarter is left; the quick jobs are no measure of these.
    assert 51 <= int(service.upload().headers["retry-after"]) <= 60
    for job_id in running:
        report_progress(service, job_id, 0.99)
    assert 2 <= int(service.upload().headers["retry-after"]) <= 4


def test_before_any_job_has_shown_progress_the_usual_time_is_reported(
    serve: Callable[..., Running],
) -> None:
    service = serve(assumed_job_seconds=100)
    running, _ = fill(service)
    for job_id in running:
        until(lambda job_id=job_id: service.status(job_id)["progress"] == 0.5)
        changed(service, job_id, progress=0.0, first_progress_at=None)
    assert 100 <= int(service.upload().headers["retry-after"]) <= 126

"""The four checks, on every workload: what a job takes is given back, in one long-lived process."""

from __future__ import annotations

import pytest

from gate.runs import Runs
from leak_suite.result import Outcome, RunResult

PEAK_BYTES = 320 * 1024**2
WORKLOADS = (
    "finished_job",
    "failed_job",
    "cancelled_job",
    "expired_job",
    "abandoned_upload",
    "abandoned_stream",
)


@pytest.fixture(params=WORKLOADS)
def run(request: pytest.FixtureRequest, runs: Runs) -> RunResult:
    return runs.of(request.param)


def _assert_stable(run: RunResult, *metrics: str) -> None:
    for metric in metrics:
        finding = run.finding(metric)
        # A metric that is not required is covered by others where it is inconclusive.
        open_but_covered = finding.outcome is Outcome.INCONCLUSIVE and not finding.required
        assert finding.outcome is Outcome.STABLE or open_but_covered, _words(run, metric)


def _words(run: RunResult, metric: str) -> str:
    finding = run.finding(metric)
    sites = [f"  {site.file}:{site.line} {site.function}" for site in finding.sites[:3]]
    return "\n".join([f"{metric} is {finding.outcome.value}: {finding.reason}", *sites, run.reason])


def test_rss_stays_flat(run: RunResult) -> None:
    _assert_stable(run, "rss", "heap", "blocks")


def test_detectors_close(run: RunResult) -> None:
    _assert_stable(run, "tracked:PoseDetector", "threads")


def test_captures_release(run: RunResult) -> None:
    _assert_stable(
        run,
        "tracked:FrameReader",
        "tracked:VideoWriter",
        "tracked:LandmarkCsvWriter",
        "fds",
        "temp_files",
    )


def test_the_job_registry_empties(run: RunResult) -> None:
    _assert_stable(
        run, "tracked:Job", "counter:jobs", "counter:job_folders", "counter:taken_places"
    )
    assert all(value == 0 for _, value in _samples(run, "counter:jobs"))


def test_listeners_are_forgotten(run: RunResult) -> None:
    _assert_stable(run, "tracked:Subscription", "counter:listeners", "tasks")


def test_the_peak_of_a_job_stays_in_its_budget(run: RunResult) -> None:
    # No budget of the run: that would end it at the first peak, before anything is known of growth.
    assert max(value for _, value in _samples(run, "peak")) <= PEAK_BYTES


def test_nothing_at_all_grows(run: RunResult) -> None:
    assert run.outcome is Outcome.STABLE, [
        _words(run, f.metric) for f in run.findings if f.outcome is not Outcome.STABLE
    ]


def _samples(run: RunResult, metric: str) -> tuple[tuple[int, float], ...]:
    (series,) = (one for one in run.series if one.metric == metric)
    return series.judged()

"""The service on more than one machine: a verdict for each role over real jobs, and on defects."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from fixtures.defects import DEFECTS
from fixtures.scaled import ScaledService
from fixtures.servers import ServerMissing
from gate.runs import ROOT, Runs
from gate.scaled import check_api, check_worker, left, scaled_for_gate
from leak_suite import Outcome, RunResult

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def without_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledService]:
    """A service that takes uploads in, and waits for who does them."""
    for service in _service(tmp_path_factory):
        service.api()
        yield service


@pytest.fixture(scope="module")
def without_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledService]:
    """A service that does jobs, and waits for who takes them in."""
    for service in _service(tmp_path_factory):
        service.worker()
        yield service


def _service(factory: pytest.TempPathFactory) -> Iterator[ScaledService]:
    try:
        with scaled_for_gate(factory.mktemp("scaled")) as service:
            yield service
    except ServerMissing as missing:
        if os.environ.get("LEAK_SUITE_REQUIRE_POSTGRES"):
            raise
        pytest.skip(str(missing))


def _assert_stable(run: RunResult) -> None:
    grown = [f"{f.metric}: {f.reason}" for f in run.findings if f.outcome is not Outcome.STABLE]
    assert run.outcome is Outcome.STABLE, "\n".join([*grown, run.reason])
    # From outside alone, most of what can leak is not seen.
    assert {"heap", "blocks", "fds", "threads", "tasks"} <= {f.metric for f in run.findings}


def _completed(service: ScaledService) -> int:
    rows = "SELECT count(*) FROM reference_app.audit WHERE status = 'completed'"
    return int(service.sql(rows))


@pytest.mark.parametrize("workload", ["finished_job", "failed_job", "cancelled_job"])
def test_a_worker_gives_back_what_a_job_takes(
    without_worker: ScaledService, runs: Runs, workload: str
) -> None:
    run = check_worker(without_worker, workload)
    runs.keep(f"scaled_worker_{workload}", run)
    _assert_stable(run)
    assert left(without_worker) == []


def test_a_worker_as_deployed_stays_as_it_was(without_worker: ScaledService, runs: Runs) -> None:
    before = _completed(without_worker)
    run = check_worker(without_worker, "finished_job", workers="process")
    runs.keep("scaled_worker_processes", run)
    _assert_stable(run)
    assert left(without_worker) == []
    assert _completed(without_worker) - before >= run.iterations


@pytest.mark.parametrize(
    "workload", ["finished_job", "cancelled_job", "abandoned_upload", "abandoned_stream"]
)
def test_an_api_process_gives_back_what_a_client_takes(
    without_api: ScaledService, runs: Runs, workload: str
) -> None:
    run = check_api(without_api, workload)
    runs.keep(f"scaled_api_{workload}", run)
    _assert_stable(run)
    assert left(without_api) == []


@pytest.mark.parametrize("name", ["detector_never_closed", "csv_handle_never_closed"])
def test_a_defect_is_found_in_the_worker(
    without_worker: ScaledService, runs: Runs, name: str
) -> None:
    command = (sys.executable, "-m", "fixtures.defects.worker", name)
    run = check_worker(without_worker, DEFECTS[name].workload, command)
    runs.keep(f"scaled_worker_{name}", run)
    _assert_found(run, name)


@pytest.mark.parametrize("name", ["task_never_finished"])
def test_a_defect_is_found_in_an_api_process(
    without_api: ScaledService, runs: Runs, name: str
) -> None:
    run = check_api(without_api, DEFECTS[name].workload, DEFECTS[name].app)
    runs.keep(f"scaled_api_{name}", run)
    _assert_found(run, name)


def _assert_found(run: RunResult, name: str) -> None:
    """It grows, by as much as in one process, and from the same line."""
    defect = DEFECTS[name]
    finding = run.finding(defect.metric)
    assert (run.outcome, finding.outcome) == (Outcome.GROWING, Outcome.GROWING), run.reason
    low, high = defect.growth
    assert finding.rate is not None
    assert low <= round(finding.rate, 1) <= high, finding.reason
    assert defect.site is not None
    # It, or a line that it calls.
    named = finding.sites[0]
    lines = {(named.file, named.line), *((place.file, place.line) for place in named.stack)}
    assert (str(ROOT / defect.site.file), defect.site.line) in lines, finding.sites

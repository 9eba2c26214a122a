"""The service for real: uvicorn, real HTTP, a fresh worker process for every job."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from gate.runs import TOLERANCES, UNGUARDED, Runs, workload_target
from gate.server import GateServer
from gate.workloads import finished_job
from leak_suite.checks import check
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import PidSpec

UPLOADS = 20
MIB = 1024**2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateServer]:
    with GateServer(tmp_path_factory.mktemp("service"), **UNGUARDED) as server:
        yield server


@pytest.fixture(scope="module")
def rest(server: GateServer) -> list[psutil.Process]:
    """The processes that are there when nothing is to be done, after the first job."""
    finished_job(server.client)
    return server.processes()


@pytest.fixture(scope="module")
def run(server: GateServer, rest: list[psutil.Process], runs: Runs) -> RunResult:
    """At least 20 uploads, measured from outside over the whole process tree."""
    spec = PidSpec(server.pid, workload_target("finished_job"), server.url)
    result = check(spec, Options(max_seconds=60.0, tolerances=TOLERANCES, attribution=False))
    runs.keep("process_pool", result)
    if result.outcome is Outcome.STABLE:
        for _ in range(UPLOADS - result.iterations):
            finished_job(server.client)
    return result


def test_the_tree_stays_as_it_was(run: RunResult) -> None:
    grown = [f"{f.metric}: {f.reason}" for f in run.findings if f.outcome is not Outcome.STABLE]
    assert run.outcome is Outcome.STABLE, "\n".join([*grown, run.reason])


def test_every_upload_was_completed(server: GateServer, run: RunResult) -> None:
    lines = server.client.get("/metrics").raise_for_status().text.splitlines()
    (completed,) = (line for line in lines if "completed" in line and "_total{" in line)
    assert float(completed.rpartition(" ")[2]) >= UPLOADS


def test_no_file_is_left(server: GateServer, run: RunResult) -> None:
    assert server.files() == []


def test_no_process_is_left(server: GateServer, rest: list[psutil.Process], run: RunResult) -> None:
    assert server.processes() == rest


def test_no_place_is_left_taken(server: GateServer, run: RunResult) -> None:
    jobs = server.memory()["jobs"]
    assert {name: count for name, count in jobs.items() if count} == {}


def test_no_more_than_two_jobs_ran_at_once(server: GateServer, run: RunResult) -> None:
    assert 1 <= server.memory()["peaks"]["processing"] <= 2

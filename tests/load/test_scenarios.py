"""Load scenarios against the service as it is, and against services that break one promise."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.servers.postgres import program
from leak_suite.result import Outcome, RunResult
from load import invariants
from load.broken_promises import PROMISES

ROOT = Path(__file__).parents[2]
QUICK = ("--stall-seconds", "20", "--recovery-seconds", "20")
SHORT = ("--rounds", "1", *QUICK)
#: For services of which something else is wrong than their memory.
BROKEN = ("--stall-seconds", "20", "--recovery-seconds", "2")


def load(out: Path, scenario: str, app: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The status of a run against one of the broken services, and its outcome."""
    command = [sys.executable, "-m", "load", scenario, "-o", str(out), "--factory"]
    command += ["--app", f"fixtures.broken_services:{app}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    file = out / f"load-{scenario}" / "outcome.json"
    assert file.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(file.read_text())


def in_state(outcome: dict[str, Any], state: str) -> set[str]:
    return {check["name"] for check in outcome["checks"] if check["state"] == state}


def failures(out: Path, scenario: str) -> set[str]:
    """What Locust's own list of failures names."""
    with (out / f"load-{scenario}" / "locust_failures.csv").open() as file:
        return {row["Name"] for row in csv.DictReader(file)}


@pytest.fixture
def servers() -> None:
    """Skip where the database and the store of the scaled form are not installed."""
    weed = Path(sys.executable).with_name("weed")
    there = program("initdb") and (weed.exists() or shutil.which("weed")) and find_spec("asyncpg")
    if not there and not os.environ.get("LEAK_SUITE_REQUIRE_POSTGRES"):
        pytest.skip("no initdb of PostgreSQL, no SeaweedFS, or no client of them")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", ["concurrency", "cancel", "abort"])
def test_the_healthy_service_passes(tmp_path: Path, scenario: str) -> None:
    status, outcome = load(tmp_path, scenario, "healthy", *SHORT)
    assert (status, in_state(outcome, "violated"), outcome["broken"]) == (0, set(), [])
    result = RunResult.read(tmp_path / f"load-{scenario}" / "run.json")
    assert {"rss_anon", "pss", "fds"} <= {series.metric for series in result.series}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_healthy_service_passes_on_more_than_one_machine(tmp_path: Path, servers: None) -> None:
    status, outcome = load(tmp_path, "scaled", "healthy", "--rounds", "2", *QUICK)
    assert (status, in_state(outcome, "violated"), outcome["broken"]) == (0, set(), [])
    once, accepted = (
        next(check["seen"] for check in outcome["checks"] if check["name"] == name)
        for name in (invariants.ONCE, invariants.LOST)
    )
    assert once == accepted == outcome["jobs"] >= 40
    assert outcome["load_workers"] == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_loses_one_of_its_locust_processes_is_no_pass(
    tmp_path: Path, servers: None
) -> None:
    command = [sys.executable, "-m", "load", "scaled", "-o", str(tmp_path), *SHORT]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    doomed: list[psutil.Process] = []
    while not doomed and process.poll() is None:
        time.sleep(0.2)
        for child in process.children():
            log = tmp_path / "load-scaled" / "locust.log"
            if "--worker" in child.cmdline() and "All users spawned" in log.read_text():
                doomed.append(child)
    doomed[0].kill()
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 2, said
    assert "a Locust process ended before the run" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_healthy_service_refuses_what_it_should(tmp_path: Path) -> None:
    status, outcome = load(tmp_path, "rejection", "healthy", *QUICK)
    assert (status, in_state(outcome, "violated"), outcome["broken"]) == (0, set(), [])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scenario", "app", "broken_promise"), PROMISES)
def test_a_service_that_breaks_a_promise_is_found_out(
    tmp_path: Path,
    scenario: str,
    app: str,
    broken_promise: str,
    request: pytest.FixtureRequest,
) -> None:
    if scenario == "scaled":
        request.getfixturevalue("servers")
    status, outcome = load(tmp_path, scenario, app, "--rounds", "1", *BROKEN)
    assert status == 1
    assert broken_promise in in_state(outcome, "violated")
    assert broken_promise in failures(tmp_path, scenario)
    assert broken_promise in (tmp_path / f"load-{scenario}" / "locust.html").read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("app", "broken_promises"),
    [
        (
            "no_size_limit",
            {
                "one byte more is refused with 413",
                "a declared 60 MB is refused unread",
                "a body without end is cut off at the limit",
            },
        ),
        ("no_retry_after", {invariants.RETRY_AFTER}),
        ("eleven_pending", {invariants.FULL, invariants.PLACES}),
        ("no_memory_guard", {"memory over the hard limit refuses with 503"}),
    ],
)
def test_a_service_that_refuses_too_little_is_found_out(
    tmp_path: Path, app: str, broken_promises: set[str]
) -> None:
    status, outcome = load(tmp_path, "rejection", app, *BROKEN)
    assert (status, broken_promises - in_state(outcome, "violated")) == (1, set())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_descriptor_kept_for_every_upload_is_found_by_the_verdict(tmp_path: Path) -> None:
    status, outcome = load(tmp_path, "concurrency", "leaks_a_descriptor", *QUICK)
    assert (status, in_state(outcome, "violated")) == (1, {invariants.MEMORY})
    result = RunResult.read(tmp_path / "load-concurrency" / "run.json")
    assert {f.metric for f in result.findings if f.outcome is Outcome.GROWING} == {"fds"}


@pytest.mark.slow
def test_a_run_in_which_nothing_happens_is_not_exercised(tmp_path: Path) -> None:
    status, outcome = load(tmp_path, "steady", "healthy", "--users", "0", "--max-seconds", "3")
    assert (status, outcome["uploads"]) == (2, 0)


@pytest.mark.slow
def test_too_few_users_do_not_reach_the_limits_and_that_is_no_pass(tmp_path: Path) -> None:
    status, outcome = load(tmp_path, "concurrency", "healthy", *SHORT, "--users", "2")
    assert status == 2
    assert invariants.QUEUE_FULL in in_state(outcome, "not exercised")


@pytest.mark.slow
def test_a_run_cut_off_by_the_clock_is_no_pass(tmp_path: Path) -> None:
    status, outcome = load(tmp_path, "steady", "healthy", "--max-seconds", "4")
    assert (status, len(outcome["broken"])) == (2, 1)


@pytest.mark.slow
def test_a_service_that_does_not_start_is_2_and_not_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "load", "steady", "-o", str(tmp_path)]
    done = subprocess.run(
        [*command, "--app", "fixtures.broken_services:nothing_like_it"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 2
    assert "the service ended with status" in done.stdout
    assert "nothing_like_it" in done.stdout


@pytest.mark.slow
def test_a_host_where_nobody_listens_is_2_and_not_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "load", "steady", "-o", str(tmp_path), "--rounds", "1"]
    done = subprocess.run(
        [*command, "--host", "http://127.0.0.1:9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot be fetched" in done.stdout

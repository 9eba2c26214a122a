"""Whole runs: measured, judged and reported."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from leak_suite.checks import STILL_RUNNING, RunProgress, check
from leak_suite.checks.allowed import tolerances
from leak_suite.environment import environment
from leak_suite.errors import Interrupted
from leak_suite.metrics import METRICS
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult, Series
from leak_suite.subject import AppSpec, CallableSpec, InProcessSpec

JOBS = """
import os, time
kept = []
def nothing(): pass
def mebibyte(): kept.append(bytearray(1 << 20))
def sporadic():
    kept.append(None)
    if len(kept) % 1000 == 0: kept.append(bytearray(1 << 20))
def descriptor(): kept.append(os.open(os.devnull, os.O_RDONLY))
def fails(): raise RuntimeError("from the start")
def hangs(): time.sleep(3600)
def dies(): os.abort()
def grows_then_fails():
    kept.append(os.open(os.devnull, os.O_RDONLY))
    if len(kept) > 150: raise RuntimeError("no more room")
"""

QUICK = Options(max_seconds=30, attribution=False)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.py"
    path.write_text(JOBS)
    return path


def test_a_clean_job_is_stable_in_a_few_seconds_and_says_on_what(jobs: Path) -> None:
    reported: list[RunProgress] = []
    result = check(CallableSpec(f"{jobs}:nothing"), QUICK, on_progress=reported.append)
    assert result.outcome is Outcome.STABLE, result.findings
    assert result.seconds < 10
    assert (result.details.overhead or 0) <= 0.02
    assert result.details.blind == {}
    assert result.details.tolerances == {}
    assert result.environment["python"]
    assert result.environment["allocator"]
    assert [str(event).partition(":")[0] for event in reported][:3] == [
        "starting",
        "warming up",
        "measuring",
    ]
    assert RunResult.from_json(result.to_json()).outcome is Outcome.STABLE


@pytest.mark.parametrize(
    ("job", "metric"), [("mebibyte", "heap"), ("sporadic", "heap"), ("descriptor", "fds")]
)
def test_a_leak_is_named_before_it_hurts(jobs: Path, job: str, metric: str) -> None:
    result = check(CallableSpec(f"{jobs}:{job}"), QUICK)
    assert result.outcome is Outcome.GROWING
    assert result.finding(metric).outcome is Outcome.GROWING
    (rss,) = [series for series in result.series if series.metric == "rss"]
    values = [value for _, value in rss.samples if value is not None]
    assert max(values) - min(values) < 200 << 20


def test_a_growing_metric_brings_what_is_behind_it(jobs: Path) -> None:
    result = check(CallableSpec(f"{jobs}:descriptor"), QUICK)
    assert any(row[1] == "/dev/null" for row in result.details.evidence["fds"])


@pytest.mark.parametrize(
    ("job", "reason"),
    [("fails", "from the start"), ("hangs", "hung"), ("dies", "SIGABRT")],
)
def test_a_workload_that_never_worked_is_inconclusive(jobs: Path, job: str, reason: str) -> None:
    result = check(CallableSpec(f"{jobs}:{job}"), Options(max_seconds=1, attribution=False))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert reason in result.reason


def test_a_workload_that_fails_while_a_metric_grew_is_growing(jobs: Path) -> None:
    result = check(CallableSpec(f"{jobs}:grows_then_fails"), QUICK)
    assert result.outcome is Outcome.GROWING
    assert result.finding("fds").outcome is Outcome.GROWING
    assert "no more room" in result.reason


def test_what_ran_out_is_traced_in_a_subject_that_is_started_afresh(tmp_path: Path) -> None:
    """In the one that was judged nothing works any more; this one is traced before it fails."""
    path = tmp_path / "pool.py"
    path.write_text(
        "import os\n"
        "taken = []\n"
        "def job():\n"
        "    if len(taken) == 40: raise TimeoutError('the pool is empty')\n"
        "    taken.append(os.open(os.devnull, os.O_RDONLY))\n"
    )
    result = check(CallableSpec(f"{path}:job"), Options(max_seconds=30))
    assert "the pool is empty" in result.reason
    assert [site.line for site in result.finding("fds").sites] == [5]


def test_a_peak_over_its_budget_is_over_budget(jobs: Path) -> None:
    options = Options(max_seconds=30, attribution=False, budgets={"peak": 1 << 20})
    result = check(CallableSpec(f"{jobs}:nothing"), options)
    assert result.details.budgets == {"peak": 1 << 20}
    assert result.outcome is Outcome.OVER_BUDGET


def test_what_covers_a_metric_stands_in_the_table_of_probes_alone() -> None:
    allowed = tolerances([Series(name, "") for name in METRICS], Options())
    assert {name: (one.required, one.covering_metrics) for name, one in allowed.items()} == {
        name: (probe.required, probe.covering_metrics)
        for name, probe in METRICS.items()
        if name != "peak"
    }


def test_ctrl_c_while_measuring_brings_the_verdict_on_what_there_is(jobs: Path) -> None:
    measured: list[float] = []

    def listen(event: RunProgress) -> None:
        if event.stage == "measuring":
            measured.append(event.seconds)
        if len(measured) >= 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        check(CallableSpec(f"{jobs}:nothing"), QUICK, on_progress=listen)
    result = caught.value.result
    assert result.outcome is Outcome.STABLE
    assert "interrupted" in result.reason
    assert result.details.stopped == "interrupted"


def test_ctrl_c_while_the_subject_works_does_not_wait_for_it(jobs: Path) -> None:
    began = time.monotonic()
    timer = threading.Timer(1.5, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted) as caught:
        check(CallableSpec(f"{jobs}:hangs"), QUICK)
    timer.join()
    assert caught.value.result.outcome is Outcome.INCONCLUSIVE
    assert time.monotonic() - began < 4.0


def test_a_soak_runs_its_whole_time_and_tells_how_it_stands_meanwhile(jobs: Path) -> None:
    reported: list[RunResult] = []

    def listen(event: RunProgress) -> None:
        if event.stage == "measuring" and event.result is not None:
            reported.append(event.result())

    began = time.monotonic()
    options = Options(max_seconds=3, soak=True, attribution=False)
    result = check(CallableSpec(f"{jobs}:nothing"), options, on_progress=listen)
    assert result.outcome is Outcome.STABLE
    assert time.monotonic() - began >= 2.5
    assert {one.outcome for one in reported} == {Outcome.INCONCLUSIVE}
    assert {one.reason for one in reported} == {STILL_RUNNING}
    assert reported[-1].iterations <= result.iterations
    assert RunResult.from_json(reported[-1].to_json()).series == reported[-1].series


def test_a_soak_ends_early_for_growth(jobs: Path) -> None:
    options = Options(max_seconds=60, soak=True, attribution=False)
    assert check(CallableSpec(f"{jobs}:mebibyte"), options).seconds < 20


def test_a_callable_of_this_process_is_judged_too() -> None:
    result = check(InProcessSpec(lambda: None, "nothing"), QUICK)
    assert result.outcome is Outcome.STABLE, [f.reason for f in result.findings]


@pytest.mark.slow
def test_a_leaking_fastapi_route_grows_and_its_clean_twin_does_not(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "kept = []\n"
        "@app.get('/leak')\n"
        "def leak():\n"
        "    kept.append(bytearray(3000))\n"
        "    return {'kept': len(kept)}\n"
        "@app.get('/clean')\n"
        "def clean():\n"
        "    return {'kept': len(kept)}\n"
    )
    (tmp_path / "drive.py").write_text(
        "def leak(client): client.get('/leak').raise_for_status()\n"
        "def clean(client): client.get('/clean').raise_for_status()\n"
    )
    outcomes = {}
    for name in ("leak", "clean"):
        spec = AppSpec(f"{tmp_path}/shop.py:app", f"{tmp_path}/drive.py:{name}")
        outcomes[name] = check(spec, Options(attribution=False)).outcome
    assert outcomes == {"leak": Outcome.GROWING, "clean": Outcome.STABLE}


def test_the_environment_tells_the_allocator_and_its_settings() -> None:
    reported = environment({}, {"MALLOC_ARENA_MAX": "1", "LD_PRELOAD": "/x/libjemalloc.so.2"})
    assert reported["allocator"] == "jemalloc"
    assert reported["allocator_settings"]["MALLOC_ARENA_MAX"] == "1"
    assert "HOME" not in reported["allocator_settings"]


def test_importing_the_door_is_light() -> None:
    code = (
        "import sys, leak_suite.checks\n"
        "print([m for m in ('memray', 'numpy', 'pandas', 'pytest') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_tolerance_of_the_options_takes_the_place_of_the_probes_own() -> None:
    series = [Series("heap", "bytes"), Series("fds", "descriptors"), Series("peak", "bytes")]
    allowed = tolerances(series, Options(tolerances={"heap": 4096.0}))
    assert allowed["heap"].min_rate == 4096.0
    assert allowed["fds"].min_rate == METRICS["fds"].min_rate
    assert "peak" not in allowed

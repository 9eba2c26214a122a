"""Leakbench's reading of what the gates answer, on recorded answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.leakbench.process import Ended
from benchmarks.leakbench.score import GROWING, NO_VERDICT, STABLE, ToolAnswer
from benchmarks.leakbench.tools import TOOLS

REPORT = Path("no such report")
PEERS = ["psleak", "pytest-memray", "leak-hunter", "memray-attach", "rss"]


def ended(status: int | None, output: str = "", errors: str = "", stopped: str = "") -> Ended:
    """A command that ended after a second."""
    return Ended(status, output, errors, 1.0, stopped)


def finding(metric: str, outcome: str, *sites: dict[str, Any]) -> dict[str, Any]:
    """A finding as it stands in a run file."""
    return {
        "metric": metric,
        "outcome": outcome,
        "cause": "",
        "reason": f"{metric} says so",
        "sites": list(sites),
    }


def read_run(tmp_path: Path, status: int, outcome: str, *findings: dict[str, Any]) -> ToolAnswer:
    """What the gate's own answer is read as."""
    report = tmp_path / "run.json"
    data = {"outcome": outcome, "findings": findings, "reason": "", "seconds": 0.5}
    report.write_text(json.dumps(data), encoding="utf-8")
    return TOOLS["leak-suite"].read(ended(status), report)


def test_growing_metrics_and_their_sites_are_taken_from_the_run_file(tmp_path: Path) -> None:
    site = {"file": "/a.py", "line": 3, "function": "job"}
    reading = read_run(
        tmp_path, 1, "growing", finding("rss", "stable"), finding("heap", "growing", site)
    )
    assert reading.outcome == GROWING
    assert reading.metrics == ("heap",)
    assert reading.sites == ("/a.py:3 job",)
    assert reading.verdict_seconds == 0.5


def test_an_exit_status_that_contradicts_the_run_file_is_no_verdict(tmp_path: Path) -> None:
    reading = read_run(tmp_path, 0, "growing", finding("heap", "growing"))
    assert reading.outcome == NO_VERDICT
    assert "exit status 0" in reading.note


def test_inconclusive_is_no_verdict_and_says_why(tmp_path: Path) -> None:
    reading = read_run(tmp_path, 2, "inconclusive", finding("heap", "inconclusive"))
    assert reading.outcome == NO_VERDICT
    assert "heap says so" in reading.note


def test_without_a_run_file_there_is_no_verdict() -> None:
    reading = TOOLS["leak-suite"].read(ended(1, errors="it broke"), REPORT)
    assert reading.outcome == NO_VERDICT
    assert "it broke" in reading.note


@pytest.mark.parametrize("tool", TOOLS)
def test_a_run_that_was_stopped_is_no_verdict(tool: str) -> None:
    reading = TOOLS[tool].read(ended(None, stopped="stopped at 4100 MiB"), REPORT)
    assert reading == ToolAnswer(NO_VERDICT, note="stopped at 4100 MiB")


@pytest.mark.parametrize("tool", PEERS)
def test_a_gate_that_crashed_is_no_verdict(tool: str) -> None:
    assert TOOLS[tool].read(ended(3, errors="Segmentation fault"), REPORT).outcome == NO_VERDICT


@pytest.mark.parametrize("tool", PEERS)
def test_status_zero_is_stable(tool: str) -> None:
    assert TOOLS[tool].read(ended(0), REPORT).outcome == STABLE


def test_an_exception_in_psleak_is_not_taken_for_a_leak() -> None:
    reading = TOOLS["psleak"].read(ended(1, errors="TypeError: not iterable"), REPORT)
    assert reading.outcome == NO_VERDICT


def test_psleaks_last_round_names_the_metrics() -> None:
    output = (
        "finding MemoryLeakError\nmemory kept increasing after 10 runs\n"
        "Run # 1: heap=+9600 | vms=+8192 (calls= 200, avg/call=+48)\n"
        "Run # 2: heap=+14400 | uss=+4096 (calls= 300, avg/call=+48)\n"
    )
    assert TOOLS["psleak"].read(ended(1, output), REPORT).metrics == ("heap", "rss")


def test_psleaks_open_descriptor_is_the_metric_fds() -> None:
    assert TOOLS["psleak"].read(ended(1, "finding UnclosedFdError\n"), REPORT).metrics == ("fds",)


def test_pytest_memrays_largest_place_comes_first() -> None:
    output = """
Test was allowed to leak 10.0KB per location but at least one location leaked more
List of leaked allocations:
    - 12.0KiB allocated here:
        bytes_new:Objects/bytesobject.c:100
        small:/home/me/job.py:4
        ...
    - 2.0MiB allocated here:
        big:/home/me/job.py:9
        test_job:/home/me/with_pytest_memray.py:9
"""
    reading = TOOLS["pytest-memray"].read(ended(1, output), REPORT)
    assert reading.outcome == GROWING
    assert reading.sites == ("/home/me/job.py:9 big", "/home/me/job.py:4 small")


def test_a_test_that_failed_for_another_reason_is_no_verdict() -> None:
    reading = TOOLS["pytest-memray"].read(ended(1, "1 failed: AssertionError"), REPORT)
    assert reading.outcome == NO_VERDICT


def test_leak_hunters_allocation_sites_are_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    output = """Objects accumulating across calls (2 windows x 20 calls):
  dict  +1 per call  (window 1: +20, window 2: +20)
Allocation sites still holding memory from the last 20 calls:
  jobs/job.py:28  +1.5 KiB per call  (+40 blocks)
  /usr/lib/python3.11/json/decoder.py:353  +0.2 KiB per call  (+20 blocks)
"""
    monkeypatch.chdir("/usr")
    reading = TOOLS["leak-hunter"].read(ended(1, output), REPORT)
    assert reading.outcome == GROWING
    assert reading.sites == ("/usr/jobs/job.py:28", "/usr/lib/python3.11/json/decoder.py:353")


def test_an_exception_in_leak_hunter_is_not_taken_for_a_leak() -> None:
    reading = TOOLS["leak-hunter"].read(ended(1, errors="TypeError: not iterable"), REPORT)
    assert reading == ToolAnswer(NO_VERDICT, note="TypeError: not iterable")


def test_memray_attachs_places_are_taken_in_their_order() -> None:
    output = "place 4096000 /home/me/job.py:20 job\nplace 120 /home/me/job.py:7 job\n"
    reading = TOOLS["memray-attach"].read(ended(1, output), REPORT)
    assert reading.outcome == GROWING
    assert reading.sites == ("/home/me/job.py:20 job", "/home/me/job.py:7 job")


def test_a_memray_that_could_not_attach_is_no_verdict() -> None:
    reading = TOOLS["memray-attach"].read(ended(1, errors="Failed to attach a debugger"), REPORT)
    assert reading == ToolAnswer(NO_VERDICT, note="Failed to attach a debugger")

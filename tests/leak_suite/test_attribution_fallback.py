"""Where the subject has no memray the line is named all the same, on every interpreter."""

from __future__ import annotations

import sys
import textwrap
import venv
from pathlib import Path

import pytest

from leak_suite.attribution import attribute_afresh
from leak_suite.options import Options
from leak_suite.result import Finding, Outcome
from leak_suite.subject import CallableSpec
from tests.leak_suite.interpreters import interpreter

SOURCE = """
import socket
import threading
NEVER = threading.Event()
KEPT = []

class Job:
    def __init__(self):
        self.payload = bytes(20000)

def job():
    KEPT.append(Job())
    KEPT.append(open(__file__))
    threading.Thread(target=NEVER.wait, daemon=True).start()
"""
PAYLOAD, JOB, OPEN, THREAD = 9, 12, 13, 14


def findings_of(tmp_path: Path, python: Path, metrics: str) -> dict[str, Finding]:
    path = tmp_path / "subject.py"
    path.write_text(textwrap.dedent(SOURCE))
    found = attribute_afresh(
        CallableSpec(f"{path}:job", python),
        [
            Finding(metric, "bytes", Outcome.GROWING, rate=28_000.0)
            if metric == "heap"
            else Finding(metric, "things", Outcome.GROWING, rate=1.0)
            for metric in metrics.split()
        ],
        iterations=40,
        warm_up=5,
        options=Options(),
    )
    return {finding.metric: finding for finding in found}


def test_an_environment_without_memray_is_traced_by_ours_where_its_build_fits(
    tmp_path: Path,
) -> None:
    venv.EnvBuilder(with_pip=False).create(tmp_path / "bare")
    found = findings_of(tmp_path, tmp_path / "bare" / "bin" / "python", "heap")["heap"]
    assert (found.sites[0].line, found.sites[0].holder) == (JOB, "subject.KEPT")
    assert f"made at {tmp_path / 'subject.py'}:{PAYLOAD}" in found.sites[0].note
    assert "by memray" in found.reason


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13", "3.14"])
def test_the_line_is_named_on_another_interpreter(version: str, tmp_path: Path) -> None:
    metrics = "heap blocks gc_objects tracked:Job fds threads"
    found = findings_of(tmp_path, interpreter(version), metrics)
    lines = {metric: finding.sites[0].line for metric, finding in found.items() if finding.sites}
    assert set(lines) == set(metrics.split()), {name: f.reason for name, f in found.items()}
    assert lines["heap"] == JOB
    assert lines["tracked:Job"] == JOB
    assert lines["fds"] == OPEN
    assert lines["threads"] == THREAD
    # memray is built for one version of CPython: the one that runs these tests.
    here = version == ".".join(map(str, sys.version_info[:2]))
    tool = "by memray" if here else "by tracemalloc (memray cannot be used there"
    assert tool in found["heap"].reason
    assert "subject.KEPT" in found["tracked:Job"].sites[0].note

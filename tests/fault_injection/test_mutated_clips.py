"""Clips cut, flipped and spliced at random: a reason or a result, never a death, never a rest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.fault_injection.conftest import Plan
from tests.fault_injection.fuzz_decoder import sources
from tests.fault_injection.fuzz_service import SETTINGS, Findings, fuzz
from tests.fault_injection.harness import tiny
from tests.reference_app.conftest import ROOT, descriptors, served, until


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_mutated_clips_neither_kill_the_service_nor_leave_anything(
    tmp_path: Path, plan: Plan, record_property: Callable[[str, object], None]
) -> None:
    names = [f"{plan.seed}/{number}" for number in range(plan.repeats(500, 2000))]
    record_property("clips", len(names))
    originals, found = sources(), Findings()
    with served(tmp_path / "spool", "reference_app.main:app", **SETTINGS) as server:
        process = psutil.Process(server.process.pid)
        server.wait(server.upload(tiny()).json()["job_id"], "completed")
        fuzz(server, names[:10], originals, found)
        rest = (descriptors(process), len(server.tree()))
        before = server.memory()["memory"]["resting_bytes"]
        fuzz(server, names[10:], originals, found)
        assert found.wrong == []
        # The workers were watched while they worked, most of them at least.
        assert found.workers > found.answers["completed"] / 2 > 0
        assert found.inputs == len(names)
        until(lambda: (descriptors(process), len(server.tree())) == rest)
        assert server.memory()["memory"]["resting_bytes"] < before * 1.1
        assert server.wait(server.upload(tiny()).json()["job_id"])["status"] == "completed"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_no_mutated_header_takes_more_memory_or_time_than_a_job_has(
    plan: Plan, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, "-m", "tests.fault_injection.fuzz_decoder", str(plan.seed)]
    command += [str(plan.repeats(5000, 10_000)), "64"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1400)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    record_property("ends", found["ends"])
    assert found["wrong"] == [], ran.stderr
    # Not all alike: the mutations reach what is behind the first look.
    assert found["ends"]["completed"] > 0
    assert found["ends"]["refused"] > 0

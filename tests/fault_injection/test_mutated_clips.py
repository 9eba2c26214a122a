"""Clips cut, flipped and spliced at random: a reason or a result, never a death, never a rest."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fixtures.clips import clip
from tests.fault_injection.conftest import Plan
from tests.fault_injection.harness import tiny
from tests.reference_app.conftest import ROOT, Server, descriptors, served, until

REFUSALS = (413, 415, 422)


def mutated(seed: str) -> bytes:
    """One broken clip; the same seed, the same bytes."""
    chance = random.Random(seed)
    data = bytearray(tiny())
    other = clip(width=320, height=240, seconds=0.3, codec="mp4v").path.read_bytes()
    for _ in range(chance.randint(1, 3)):
        way, at = chance.choice(("cut", "flip", "splice", "repeat")), chance.randrange(len(data))
        if way == "cut":
            del data[at : at + chance.choice((1, 100, len(data)))]
        elif way == "flip":
            for _ in range(chance.choice((1, 8, 200))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif way == "splice":
            start = chance.randrange(len(other))
            data[at : at + 500] = other[start : start + chance.randrange(1, 3000)]
        else:
            data[at:at] = data[at : at + chance.randrange(1, 3000)]
        if not data:
            return b"\0"
    return bytes(data)


def problem(server: Server, name: str) -> str | None:
    """Send one; what is wrong with what became of it."""
    answer = server.upload(mutated(name))
    if answer.status_code in REFUSALS:
        return None if answer.json()["detail"] else f"{name}: refused without a reason"
    if answer.status_code != 202:
        return f"{name}: {answer.status_code}, {answer.text}"
    job = server.wait(answer.json()["job_id"])
    server.http.delete(f"/api/cleanup/{job['job_id']}")
    if job["status"] == "completed":
        return None
    # A decoder that crashes takes its worker along and nothing else; the job says so.
    return None if job["status"] == "failed" and job["error"] else f"{name}: {job}"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_mutated_clips_neither_kill_the_service_nor_leave_anything(
    tmp_path: Path, plan: Plan, record_property: Callable[[str, object], None]
) -> None:
    names = [f"{plan.seed}/{number}" for number in range(plan.amount(20, 500))]
    record_property("clips", len(names))
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        process = psutil.Process(server.process.pid)
        server.wait(server.upload(tiny()).json()["job_id"], "completed")
        problem(server, names[0])
        rest = (descriptors(process), len(server.tree()))
        before = server.memory()["memory"]["resting_bytes"]
        problems = [wrong for name in names if (wrong := problem(server, name))]
        assert problems == []
        until(lambda: (descriptors(process), len(server.tree())) == rest)
        for job in server.http.get("/api/jobs").json()["jobs"]:
            server.http.delete(f"/api/cleanup/{job['job_id']}")
        assert server.files() == []
        assert server.memory()["memory"]["resting_bytes"] < before * 1.1
        assert server.wait(server.upload(tiny()).json()["job_id"])["status"] == "completed"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_no_mutated_header_takes_more_memory_or_time_than_a_job_has(
    plan: Plan, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, "-m", "tests.fault_injection.fuzz_decoder", str(plan.seed)]
    command += [str(plan.amount(200, 10_000)), "64"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1400)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    record_property("ends", found["ends"])
    assert found["wrong"] == [], ran.stderr
    # Not all alike: the mutations reach what is behind the first look.
    assert found["ends"]["completed"] > 0
    assert found["ends"]["refused"] > 0

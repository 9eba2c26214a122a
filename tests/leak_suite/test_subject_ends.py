"""How a subject fails, hangs, dies and ends, and what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from leak_suite.errors import SubjectError, SubjectHung
from leak_suite.subject import (
    CallableSpec,
    Values,
)
from tests.leak_suite.subject_jobs import JOBS


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.py"
    path.write_text(textwrap.dedent(JOBS))
    return path


def test_a_failing_iteration_is_reported_with_its_place(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:fails_third").open() as subject:
        one = subject.round(10, seconds=5)
        assert (one.stop_reason, one.done) == ("failed", 2)
        assert "ValueError: third time" in (one.error or "")
        assert f"{jobs}:" in (one.error or "")


def test_a_hanging_workload_is_left_after_its_timeout(jobs: Path) -> None:
    started = time.monotonic()
    with CallableSpec(f"{jobs}:hangs").open() as subject, pytest.raises(SubjectHung):
        subject.round(1, seconds=1, timeout=0.5)
    assert time.monotonic() - started < 20


def test_the_signal_that_killed_the_subject_is_named(jobs: Path) -> None:
    with (
        CallableSpec(f"{jobs}:dies").open() as subject,
        pytest.raises(SubjectError, match="SIGSEGV"),
    ):
        subject.round(1, seconds=1)


def test_a_target_that_cannot_be_loaded_says_why(jobs: Path) -> None:
    with pytest.raises(SubjectError, match="has no 'missing'"):
        CallableSpec(f"{jobs}:missing").open().__enter__()
    with pytest.raises(SubjectError, match="no file"):
        CallableSpec("nowhere.py:job").open().__enter__()


def test_the_subject_dies_with_its_host(jobs: Path) -> None:
    script = f"""
from leak_suite.subject import CallableSpec
subject = CallableSpec({str(jobs) + ":hangs"!r}).open().__enter__()
print(subject.agent.pid, flush=True)
subject.round(1, seconds=1000, timeout=1000)
"""
    environment = {**os.environ, "TMPDIR": str(jobs.parent)}  # what a killed host leaves there
    host = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    with host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        while not Path(f"{jobs}.mark").exists():
            assert host.poll() is None
            time.sleep(0.01)
        os.kill(host.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_a_subject_leaves_neither_process_nor_temporary_folder(
    jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with CallableSpec(f"{jobs}:child").open() as subject:
        subject.round(3, seconds=5)
        children = [row[0] for row in subject.describe("children")]
        assert len(children) == 3
        assert list(tmp_path.glob("leak-suite-*"))
    assert not list(tmp_path.glob("leak-suite-*"))
    until = time.monotonic() + 10
    while any(_runs(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(_runs(pid) for pid in children)


def _pipes(pid: int) -> set[str]:
    held = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return {name for name in held if name.startswith("pipe:")}


@pytest.mark.parametrize("job", ["spawned", "forked"])
def test_children_of_the_subject_do_not_hold_the_pipes_of_the_agent(jobs: Path, job: str) -> None:
    with CallableSpec(f"{jobs}:{job}").open() as subject:
        subject.round(1, seconds=5)
        ((pid, *_),) = subject.describe("children")
        assert not _pipes(pid) & _pipes(subject.agent.pid)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"


def test_growth_ends_a_round_long_before_it_hurts(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:heap").open() as subject:
        subject.round(100, seconds=5)
        before = subject.read()
        one = subject.round(1 << 40, seconds=30)
    assert one.stop_reason == "growth"
    assert _value(one.values, "rss") - _value(before, "rss") < 32 << 20


def _value(values: Values, metric: str) -> float:
    value = values[metric]
    assert value is not None
    return value

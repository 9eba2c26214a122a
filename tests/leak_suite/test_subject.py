"""Subjects in a fresh interpreter: what is planted shows in the right series, nothing else does."""

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
    Extras,
    InProcessSpec,
    Subject,
    Values,
)

JOBS = """
import asyncio, os, subprocess, tempfile, threading, time

kept = []

class Resource:
    def close(self): pass

def nothing(): pass
def heap(): kept.append(bytearray(2000))
def small(): kept.append(object())
def containers(): kept.append([])
def descriptor(): kept.append(os.open(os.devnull, os.O_RDONLY))
def thread():
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, daemon=True).start()
def joined():
    worker = threading.Thread(target=nothing)
    worker.start()
    worker.join()
def child(): kept.append(subprocess.Popen(["sleep", "60"]))
def temp_file():
    fd, path = tempfile.mkstemp()
    os.write(fd, b"x" * 10)
    os.close(fd)
def resource(): kept.append(Resource())
def closed_resource():
    kept.append(Resource())
    kept[-1].close()
def cycle():
    ring = []
    ring.append(ring)
async def task(): kept.append(asyncio.ensure_future(asyncio.sleep(3600)))
async def finished_task(): asyncio.ensure_future(asyncio.sleep(0))
def count(): return len(kept)
def fails(): raise ValueError("as planned")
def fails_third():
    kept.append(1)
    if len(kept) == 3: raise ValueError("third time")
def hangs():
    print("in the workload", file=open(__file__ + ".mark", "w"), flush=True)
    time.sleep(3600)
def spawned():
    if not kept: kept.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
def forked():
    if not kept: kept.append(os.fork() or time.sleep(60))
def dies(): os.kill(os.getpid(), 11)
def talks(): print("noise on the standard output")
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.py"
    path.write_text(textwrap.dedent(JOBS))
    return path


def growth(subject: Subject, iterations: int = 20) -> dict[str, float]:
    """What each metric grew by per iteration, over two rounds after one of warm-up."""
    before = after = subject.round(5, seconds=30).values
    done = 0
    for _ in range(2):
        one = subject.round(iterations // 2, seconds=30, guard_factor=1000)
        assert one.error is None, one.error
        after = one.values
        done += one.done
    return {
        metric: (value - (before[metric] or 0)) / done
        for metric, value in after.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("job", "metric", "expected"),
    [
        ("heap", "heap", 2000),
        ("small", "blocks", 1),
        ("containers", "gc_objects", 1),
        ("descriptor", "fds", 1),
        ("thread", "threads", 1),
        ("thread", "python_threads", 1),
        ("child", "children", 1),
        ("temp_file", "temp_files", 1),
        ("temp_file", "temp_bytes", 10),
        ("task", "tasks", 1),
    ],
)
def test_a_planted_leak_grows_its_metric_by_its_size(
    jobs: Path, job: str, metric: str, expected: float
) -> None:
    iterations = {"heap": 2000, "small": 2000, "containers": 2000}.get(job, 20)
    with CallableSpec(f"{jobs}:{job}").open() as subject:
        assert growth(subject, iterations)[metric] == pytest.approx(expected, rel=0.05)


EXACT = ("fds", "threads", "python_threads", "tasks", "children", "temp_files", "garbage")


@pytest.mark.parametrize("job", ["nothing", "joined", "cycle", "finished_task", "talks"])
def test_a_clean_job_is_flat_in_every_exact_metric(jobs: Path, job: str) -> None:
    with CallableSpec(f"{jobs}:{job}").open() as subject:
        grown = growth(subject)
        assert {metric: grown[metric] for metric in EXACT} == dict.fromkeys(EXACT, 0)


def test_a_job_that_does_nothing_grows_nothing_at_all(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        for _ in range(12):
            subject.round(1000, seconds=5)
        readings = [subject.round(1000, seconds=5).values for _ in range(20)]
    for metric in ("blocks", "gc_objects"):
        assert {reading[metric] for reading in readings} == {readings[0][metric]}
    heap = [reading["heap"] or 0 for reading in readings]
    assert max(heap) - min(heap) <= 256


def test_what_the_agent_needs_is_there_before_the_first_iteration(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        heap = [subject.round(1, seconds=5).values["heap"] or 0 for _ in range(8)]
    assert max(heap) - min(heap) <= 512


def test_a_thousand_readings_of_an_idle_subject_grow_nothing(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        first = subject.round(0, seconds=0).values
        for _ in range(1000):
            last = subject.round(0, seconds=0).values
    # Python 3.10 keeps about one block in thirty readings.
    blocks, heap = (0, 256) if sys.version_info >= (3, 11) else (100, 4096)
    assert abs((last["blocks"] or 0) - (first["blocks"] or 0)) <= blocks
    assert last["gc_objects"] == first["gc_objects"]
    assert (last["heap"] or 0) - (first["heap"] or 0) <= heap


def test_the_agent_brings_no_module_that_the_interpreter_had_not_loaded(jobs: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True
    )
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        ours = {str(name) for name in subject.describe("modules")}
    job_needs = {"asyncio", "subprocess", "tempfile", "threading"}
    extra = {name.split(".")[0] for name in ours} - {n.split(".")[0] for n in bare.stdout.split()}
    assert "leak_suite" not in extra
    assert {"psutil", "httpx", "rich", "memray"}.isdisjoint(extra)
    assert {"_leak_agent", "_ctypes"} <= extra
    assert job_needs <= ours
    assert "ctypes" not in extra


def test_tracked_objects_count_while_alive_and_not_closed(jobs: Path) -> None:
    tracked = [f"{jobs}:Resource"]
    with CallableSpec(f"{jobs}:resource").open(Extras(tracked=tracked)) as subject:
        assert growth(subject)["tracked:Resource"] == 1
    with CallableSpec(f"{jobs}:closed_resource").open(Extras(tracked=tracked)) as subject:
        assert growth(subject)["tracked:Resource"] == 0


def test_a_declared_counter_is_read(jobs: Path) -> None:
    counters = {"kept": f"{jobs}:count", "broken": f"{jobs}:fails"}
    with CallableSpec(f"{jobs}:small").open(Extras(counters=counters)) as subject:
        values = subject.round(7, seconds=5).values
        assert values["counter:kept"] == 7
        assert values["counter:broken"] is None


def test_every_inside_probe_sees_what_it_is_shown(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        checks = subject.about.self_check
        assert {name: reason for name, (_, _, reason) in checks.items()} == dict.fromkeys(checks)
        expected = {"heap", "blocks", "gc_objects", "rss", "rss_anon", "peak", "garbage", "fds"}
        expected |= {"threads", "python_threads", "children", "temp_files", "temp_bytes"}
        assert set(checks) == expected


def test_blocks_are_unknown_and_not_zero_under_the_system_allocator(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    with CallableSpec(f"{jobs}:small").open() as subject:
        values = subject.round(10, seconds=5).values
        assert values["blocks"] is None
        assert values["heap"] is not None
        assert "blocks" in subject.about.blind


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


def test_details_name_what_is_behind_a_number(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:thread").open() as subject:
        subject.round(2, seconds=5)
        assert any(
            "threading.py" in row[3] or "Thread-" in row[2] for row in subject.describe("threads")
        )
    with CallableSpec(f"{jobs}:descriptor").open() as subject:
        subject.round(2, seconds=5)
        assert sum(row[1] == os.devnull for row in subject.describe("fds")) >= 2
    with CallableSpec(f"{jobs}:task").open() as subject:
        subject.round(2, seconds=5)
        assert all(row[0] == "sleep" for row in subject.describe("tasks"))
    with CallableSpec(f"{jobs}:resource").open() as subject:
        subject.round(20, seconds=5)
        assert ["jobs.Resource", 20] in [list(row) for row in subject.describe("gc_objects")]


@pytest.mark.parametrize("version", ["3.9.18", "3.10.13", "3.12.1", "3.13.0"])
def test_the_agent_runs_in_other_interpreters(jobs: Path, version: str) -> None:
    python = Path(f"~/.pyenv/versions/{version}/bin/python").expanduser()
    if not python.exists():
        pytest.skip(f"there is no interpreter of version {version} to try")
    with CallableSpec(f"{jobs}:small", python).open() as subject:
        assert subject.about.environment["python"] == version
        assert not subject.about.blind
        assert growth(subject, 2000)["blocks"] == pytest.approx(1, rel=0.05)
    with CallableSpec(f"{jobs}:task", python).open() as subject:
        assert growth(subject)["tasks"] == 1


def test_the_same_code_measures_in_this_process() -> None:
    kept: list[object] = []
    with InProcessSpec(lambda: kept.append(object()), "kept").open() as subject:
        assert growth(subject, 2000)["blocks"] == pytest.approx(1, rel=0.05)
    assert "leak-suite-" not in os.environ.get("TMPDIR", "")

    async def nothing() -> None:
        return

    with InProcessSpec(nothing, "nothing").open() as subject:
        grown = growth(subject, 2000)
        assert {metric: grown[metric] for metric in EXACT} == dict.fromkeys(EXACT, 0)


def test_overhead_is_reported_with_every_round(jobs: Path) -> None:
    with CallableSpec(f"{jobs}:nothing").open() as subject:
        one = subject.round(1 << 40, seconds=0.5)
    assert 0 < one.overhead < 0.02 * one.seconds + 0.02


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

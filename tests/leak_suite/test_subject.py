"""Subjects in a fresh interpreter: what is planted shows in the right series, nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from leak_suite.subject import (
    CallableSpec,
    Extras,
    InProcessSpec,
    Subject,
)
from tests.leak_suite.subject_jobs import JOBS


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


def test_the_agent_brings_no_module_that_the_interpreter_had_not_loaded(tmp_path: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True
    )
    seen, job = tmp_path / "modules.txt", tmp_path / "job.py"
    job.write_text(
        f"import sys\ndef run(): open({str(seen)!r}, 'w').write(' '.join(sys.modules))\n"
    )
    with CallableSpec(f"{job}:run").open() as subject:
        subject.round(1, seconds=5)
    ours = set(seen.read_text().split())
    extra = {name.split(".")[0] for name in ours} - {n.split(".")[0] for n in bare.stdout.split()}
    assert "leak_suite" not in extra
    assert {"psutil", "httpx", "rich", "memray"}.isdisjoint(extra)
    assert {"_leak_agent", "_ctypes"} <= extra
    assert {"ctypes", "asyncio", "subprocess", "tempfile", "typing"}.isdisjoint(extra)


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

"""Many jobs in one process: memory, threads and handles stay where the first ones left them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.clips import clip
from reference_app.memory.allocator import configure_memory, release_memory, worker_environment

pytest.importorskip("mediapipe")

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024

MANY_JOBS = """
import json, shutil, sys
from pathlib import Path
import psutil
from reference_app.memory.allocator import configure_memory, release_memory
configure_memory()
from reference_app.pipeline import Task, process
me, source, folder = psutil.Process(), Path(sys.argv[1]), Path(sys.argv[2])
readings = []
for _ in range(30):
    folder.mkdir()
    process(Task(source, folder))
    shutil.rmtree(folder)
    release_memory()
    readings.append((me.memory_info().rss, me.num_threads(), me.num_fds()))
print(json.dumps(readings))
"""


@pytest.mark.slow
def test_thirty_jobs_leave_no_more_than_the_first_few(tmp_path: Path) -> None:
    source = clip(width=320, height=240, seconds=0.3).path
    ran = subprocess.run(
        [sys.executable, "-c", MANY_JOBS, str(source), str(tmp_path / "job")],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **worker_environment()},
    )
    readings = json.loads(ran.stdout.splitlines()[-1])
    memory = [rss for rss, _, _ in readings]
    assert max(memory[20:]) - max(memory[5:10]) < 2 * MIB, [round(m / MIB, 1) for m in memory]
    assert {threads for _, threads, _ in readings} == {1}
    assert len({fds for _, _, fds in readings[1:]}) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an option of glibc")
def test_the_allocator_can_be_configured_and_trimmed_at_any_time() -> None:
    assert configure_memory() in (True, False)
    release_memory()
    release_memory()


def test_a_worker_starts_with_one_arena() -> None:
    environment = worker_environment()
    assert environment["MALLOC_ARENA_MAX"] == "1"
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert environment["MALLOC_MMAP_THRESHOLD_"] == "131072"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"

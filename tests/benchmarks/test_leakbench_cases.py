"""The own cases: enough of them, marked, seeded, and able to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.leakbench.cases.case import Draw
from benchmarks.leakbench.cases.table import OWN_CASES

ROOT = Path(__file__).parents[2]
LEAKS = {name: case for name, case in OWN_CASES.items() if case.grows}
CLEAN = {name: case for name, case in OWN_CASES.items() if not case.grows}
MODULES = sorted({case.key.partition(":")[0] for case in OWN_CASES.values()})
METRICS = {
    "heap",
    "blocks",
    "gc_objects",
    "garbage",
    "rss",
    "fds",
    "threads",
    "python_threads",
    "tasks",
    "children",
    "temp_files",
    "temp_bytes",
}

# In a process of its own: a leak must not leak into the test session.
FIFTY_CALLS = """
import asyncio, importlib, inspect, os, sys
from benchmarks.leakbench.cases.case import OwnCase
loop = asyncio.new_event_loop()
module = importlib.import_module("benchmarks.leakbench.cases." + sys.argv[1])
for case in [value for value in vars(module).values() if isinstance(value, OwnCase)]:
    job = case.job(int(sys.argv[2]))
    for _ in range(50):
        loop.run_until_complete(job()) if inspect.iscoroutinefunction(job) else job()
    print(case.name)
sys.stdout.flush()
os._exit(0)
"""


def test_there_are_thirty_kinds_of_leak_and_thirty_of_clean_job() -> None:
    assert len(LEAKS) >= 30
    assert len(CLEAN) >= 30


def test_every_module_of_cases_is_in_the_table() -> None:
    folder = ROOT / "benchmarks" / "leakbench" / "cases"
    files = {path.stem for kind in ("leaks_*.py", "clean_*.py") for path in folder.glob(kind)}
    assert files == set(MODULES)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_has_marked_lines_and_metrics_that_exist(name: str) -> None:
    case = LEAKS[name]
    assert case.marked_lines()
    assert set(case.grows) <= METRICS


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_case_has_no_marked_line(name: str) -> None:
    assert not CLEAN[name].marked_lines()


def test_the_same_seed_draws_the_same_sizes_and_another_seed_others() -> None:
    def sizes(seed: int) -> list[int]:
        draw = Draw("case", seed)
        return [draw.size(64, 4096) for _ in range(5)]

    assert sizes(3) == sizes(3)
    assert sizes(3) != sizes(4)


def test_sizes_stay_within_their_bounds() -> None:
    draw = Draw("case", 0)
    sizes = [draw.size(64, 4096) for _ in range(1000)]
    assert min(sizes) >= 64
    assert max(sizes) <= 4096
    assert sum(size < 512 for size in sizes) == pytest.approx(500, abs=100)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("module", MODULES)
def test_fifty_calls_of_each_case_run_without_error(module: str, seed: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIFTY_CALLS, module, str(seed)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ours = [case.name for case in OWN_CASES.values() if case.key.startswith(f"{module}:")]
    assert done.stdout.split() == ours


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("list_of_bytes", 1), ("bounded_deque_fills", 0)])
def test_the_gate_is_right_on_a_leak_and_on_a_clean_case(
    name: str, status: int, tmp_path: Path
) -> None:
    case = OWN_CASES[name]
    report = tmp_path / "run.json"
    job = ROOT / "benchmarks" / "leakbench" / "cases" / "job.py"
    done = subprocess.run(
        [sys.executable, "-m", "leak_suite", "run", f"{job}:job", "-o", str(report)],
        cwd=ROOT,
        env={**os.environ, "LEAKBENCH_CASE": case.key, "LEAKBENCH_SEED": "7"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == status, done.stdout + done.stderr
    data = json.loads(report.read_text(encoding="utf-8"))
    assert data["outcome"] == ("growing" if status else "stable")

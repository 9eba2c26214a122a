"""What the allocators hold is read from inside, in every Python, and nothing is settled first."""

from __future__ import annotations

from pathlib import Path

import pytest

from leak_suite.subject import CallableSpec, Extras
from tests.leak_suite.interpreters import VERSIONS, interpreter

MIB = 1 << 20
JOBS = """
import gc
KEPT = []
def small():
    KEPT.append([bytes(100) for _ in range(10_000)])
def large():
    KEPT.append(bytearray(1 << 20))
def free():
    KEPT.clear()
def cycle():
    one = []
    one.append(one)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.py"
    path.write_text(JOBS)
    return path


def growth(jobs: Path, name: str, python: Path | None = None) -> dict[str, int]:
    with CallableSpec(f"{jobs}:{name}", python).open(Extras(undisturbed=True)) as subject:
        (before,) = subject.composition().values()
        done = subject.work(10, seconds=20.0)
        (after,) = subject.composition().values()
    assert done.done == 10
    return {
        name: (after.inside[name] or 0) - (value or 0)
        for name, value in before.inside.items()
        if name != "pid"
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_small_objects_are_pythons_and_large_ones_the_c_librarys(jobs: Path, version: str) -> None:
    python = interpreter(version)
    small = growth(jobs, "small", python)
    assert 10 * 10_000 * 100 < small["python_used"] < 20 * MIB
    assert small["malloc_used"] < 2 * MIB  # the lists' own tables
    large = growth(jobs, "large", python)
    assert 10 * MIB <= large["malloc_used"] < 11 * MIB
    assert large["python_used"] < MIB


def test_garbage_stays_and_nothing_is_frozen_where_the_subject_is_left_undisturbed(
    jobs: Path,
) -> None:
    (jobs.parent / "look.py").write_text(
        "import gc\ngc.disable()\n"
        "class Cycle:\n    def __init__(self): self.me = self\n"
        "FROZEN = gc.get_freeze_count()  # 3.12 begins with some\n"
        "def job():\n    Cycle()\n    assert gc.get_freeze_count() == FROZEN\n"
        "    COUNTS.append(sum(type(o) is Cycle for o in gc.get_objects()))\n"
        "    assert COUNTS[-1] == len(COUNTS), COUNTS\nCOUNTS = []\n"
    )
    spec = CallableSpec(f"{jobs.parent / 'look.py'}:job")
    with spec.open(Extras(undisturbed=True)) as subject:
        for _ in range(3):
            subject.composition()
            assert subject.work(1, seconds=5.0).error is None


def test_another_allocator_is_unknown_and_not_zero(jobs: Path) -> None:
    extras = Extras(undisturbed=True, environment={"PYTHONMALLOC": "malloc"})
    with CallableSpec(f"{jobs}:small").open(extras) as subject:
        (found,) = subject.composition().values()
    assert found.inside["python_used"] is None
    assert (found.inside["malloc_used"] or 0) > 2 * MIB

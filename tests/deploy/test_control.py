"""The switch that the control of the fit needs: the service with the defaults of glibc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (
    "from reference_app.memory.allocator import configure_memory, worker_environment as e;"
    "print(configure_memory(), 'MALLOC_ARENA_MAX' in e(), 'OPENBLAS_NUM_THREADS' in e())"
)


def settings_of(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_allocator_default_leaves_arenas_and_thresholds_as_they_are() -> None:
    assert settings_of(ALLOCATOR="default") == "False False True"


def test_without_it_workers_use_one_arena() -> None:
    assert settings_of().endswith("True True")

"""What the processes of the service do not load, and how little memory they take at rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fixtures.clips import clip
from reference_app.memory.file_pages import unchanged_mappings
from reference_app.pipeline.libraries import has_solutions
from reference_app.workers.process import PRELOAD
from tests.reference_app.conftest import ROOT, served
from tests.reference_app.memory_figures import at_peak, at_rest

#: What serves requests, or is large and used by none of the stages.
FOREIGN = (
    "fastapi", "starlette", "pydantic", "pydantic_settings", "uvicorn", "prometheus_client",
    "structlog", "anyio", "asyncio", "sqlite3", "typing_extensions", "matplotlib",
)  # fmt: skip
#: Parts of the libraries that no stage uses.
UNUSED = (
    "mediapipe.tasks", "mediapipe.python.solutions.face_mesh", "mediapipe.python.solutions.hands",
    "numpy.fft", "numpy.ma", "numpy.polynomial", "numpy.random",
)  # fmt: skip
#: What is installed beside the service, and used by no process with a port on one machine.
NOT_SERVED = (
    "rich", "pygments", "attr", "pydantic.v1", "numpy", "cv2", "av", "mediapipe", "matplotlib",
    "google.protobuf", "asyncpg", "obstore", "kombu",
)  # fmt: skip
IDLE_MIB, PEAK_MIB = 120, 280
MIB = 1024 * 1024

_LOOK = """
import importlib, json, sys

def anonymous():
    with open("/proc/self/smaps_rollup") as lines:
        (found,) = [line for line in lines if line.startswith("Anonymous:")]
    return int(found.split()[1]) * 1024

before = anonymous()
for name in sys.argv[1:]:
    importlib.import_module(name)
loaded = sorted(name for name, module in sys.modules.items() if module is not None)
print(json.dumps({"modules": loaded, "bytes": anonymous() - before}))
"""


def after_importing(*names: str) -> tuple[set[str], int]:
    """What a fresh interpreter has loaded then, and what memory of its own that took."""
    found = subprocess.run(
        [sys.executable, "-c", _LOOK, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report = json.loads(found.stdout)
    return set(report["modules"]), report["bytes"]


def test_a_worker_loads_nothing_of_the_web_framework() -> None:
    modules, _ = after_importing(*PRELOAD)
    assert {"mediapipe", "cv2", "av"} <= modules
    assert modules & set(FOREIGN) == set()


def test_the_code_of_workers_takes_less_than_ten_mib_without_the_libraries() -> None:
    """The web framework alone would be 20 MiB more, in the forkserver and in every worker."""
    modules, taken = after_importing(PRELOAD[0])
    assert "numpy" not in modules
    assert taken < 10 * MIB, f"{taken / MIB:.1f} MiB"


@pytest.mark.skipif(not has_solutions(), reason="the current releases load what is used")
def test_of_the_libraries_nothing_is_loaded_that_no_stage_uses() -> None:
    modules, _ = after_importing(*PRELOAD)
    assert "mediapipe.python.solutions.pose" in modules
    assert modules & set(UNUSED) == set()


@pytest.mark.skipif(not has_solutions(), reason="the current releases load what is used")
def test_what_was_left_out_of_the_libraries_is_there_for_who_asks() -> None:
    program = (
        "from reference_app.pipeline.libraries import load; load(); import numpy as np;"
        "import mediapipe.python.solutions.hands, numpy.polynomial;"
        "print(np.ma.masked_array([1, 2]).sum(), np.median([1.0, 2.0]), np.fft.fft([2.0])[0])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["3", "1.5", "(2+0j)"]


def test_the_service_loads_nothing_that_it_does_not_use() -> None:
    modules, _ = after_importing("reference_app.main")
    assert {"fastapi", "pydantic", "structlog"} <= modules
    assert modules & set(NOT_SERVED) == set()


SMAPS = """\
1000-3000 r-xp 00000000 fe:00 7 /lib/code.so
Rss: 8 kB
Anonymous: 0 kB
3000-5000 r--p 00002000 fe:00 7 /lib/relocated by the linker.so
Rss: 8 kB
Anonymous: 4 kB
5000-7000 rw-p 00004000 fe:00 7 /lib/data.so
Rss: 8 kB
Anonymous: 0 kB
7000-9000 r--p 00000000 00:00 0
Rss: 8 kB
Anonymous: 0 kB
9000-b000 r--p 00000000 fe:00 8 /lib/a name.so
Rss: 8 kB
Anonymous: 0 kB
b000-c000 r-xp 00000000 00:00 0 [vdso]
Rss: 4 kB
Anonymous: 0 kB
"""


def test_only_pages_that_are_as_in_their_file_are_given_up() -> None:
    assert unchanged_mappings(SMAPS.splitlines()) == [(0x1000, 0x3000), (0x9000, 0xB000)]


def test_at_rest_the_service_is_two_processes_of_120_mib(tmp_path: Path) -> None:
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        reading = at_rest(server.process.pid)
        below = psutil.Process(server.process.pid).children(recursive=True)
    assert len(below) == 1
    assert reading.alone < IDLE_MIB, str(reading)


@pytest.mark.slow
def test_a_720p_job_takes_the_service_to_280_mib_at_most(tmp_path: Path) -> None:
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        at_rest(server.process.pid)
        reading = at_peak(server.process.pid, server, clip(width=1280, height=720).path)
    assert 200 < reading.alone < PEAK_MIB, str(reading)


@pytest.mark.parametrize("module", ["reference_app.workers.child_main", "reference_app.pipeline"])
def test_every_module_that_a_worker_enters_by_is_lean(module: str) -> None:
    modules, _ = after_importing(module)
    assert modules & set(FOREIGN) == set()

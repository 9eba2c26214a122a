"""What a worker does not load: it starts as a copy of the forkserver, which must be lean."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reference_app.workers.process import PRELOAD
from tests.reference_app.conftest import ROOT

#: What serves requests, or is large and used by none of the stages.
FOREIGN = (
    "fastapi", "starlette", "pydantic", "pydantic_settings", "uvicorn", "prometheus_client",
    "structlog", "anyio", "asyncio", "sqlite3", "typing_extensions", "matplotlib",
)  # fmt: skip
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
print(json.dumps({"modules": sorted(sys.modules), "bytes": anonymous() - before}))
"""


def after_importing(*names: str) -> tuple[set[str], int]:
    """What a fresh interpreter has loaded then, and what memory of its own that took."""
    found = subprocess.run(
        [sys.executable, "-c", _LOOK, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report = json.loads(found.stdout)
    return {name.partition(".")[0] for name in report["modules"]}, report["bytes"]


def test_a_worker_loads_nothing_of_the_web_framework() -> None:
    modules, _ = after_importing(*PRELOAD)
    assert {"mediapipe", "cv2", "av"} <= modules
    assert modules & set(FOREIGN) == set()


def test_the_code_of_workers_takes_less_than_ten_mib_without_the_libraries() -> None:
    """The web framework alone would be 20 MiB more, in the forkserver and in every worker."""
    modules, taken = after_importing(PRELOAD[0])
    assert "numpy" not in modules
    assert taken < 10 * MIB, f"{taken / MIB:.1f} MiB"


@pytest.mark.parametrize("module", ["reference_app.workers.child_main", "reference_app.pipeline"])
def test_every_module_that_a_worker_enters_by_is_lean(module: str) -> None:
    modules, _ = after_importing(module)
    assert modules & set(FOREIGN) == set()

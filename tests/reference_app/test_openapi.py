"""The description of the service is true: generated requests find nothing that it does not say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reference_app.conftest import ROOT, served

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = "tests.reference_app.schemathesis_hooks"


def check(folder: Path, *options: str) -> str:
    """Run schemathesis with every check and in every phase; what it printed."""
    with served(folder / "spool", WORKERS="thread") as server:
        base = str(server.http.base_url)
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
        command += ["run", f"{base}/openapi.json", "--checks", "all", "--no-color"]
        command += ["--phases", "examples,coverage,fuzzing,stateful", *options]
        variables = {"BASE_URL": base, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            command,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=600,
            cwd=folder,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert server.http.get("/ready").status_code == 200
    return ran.stdout


def covered_links(output: str) -> int:
    """How many of the requests that follow from an answer were made with what that answer gave."""
    found = re.search(r"API Links:\s+(\d+) covered", output)
    assert found, output
    return int(found[1])


def test_no_generated_request_contradicts_the_description(tmp_path: Path) -> None:
    output = check(tmp_path, "--max-examples", "20", "--generation-deterministic")
    # Not only of jobs that do not exist: uploads were taken, and their ids asked for.
    assert covered_links(output) >= 5, output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_generated_requests_do_not_either(tmp_path: Path) -> None:
    assert covered_links(check(tmp_path, "--max-examples", "100")) >= 8

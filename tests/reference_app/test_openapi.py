"""The description of the service is true: generated requests find nothing that it does not say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reference_app.conftest import served

pytest.importorskip("schemathesis")

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 15


@pytest.mark.slow
def test_no_generated_request_contradicts_the_description(tmp_path: Path) -> None:
    with served(tmp_path / "spool", WORKERS="thread") as server:
        base = str(server.http.base_url)
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
        command += ["run", f"{base}/openapi.json", "--checks", "all", "--no-color"]
        command += [
            "--max-examples",
            str(EXAMPLES),
            "--phases",
            "examples,coverage,fuzzing,stateful",
        ]
        ran = subprocess.run(
            command,
            env={**os.environ, "BASE_URL": base},
            capture_output=True,
            text=True,
            timeout=240,
            cwd=tmp_path,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert server.http.get("/ready").status_code == 200

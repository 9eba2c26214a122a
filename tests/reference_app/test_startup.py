"""`python -m reference_app` serves; what keeps it from starting is said in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from leak_suite.service_process import free_port
from tests.reference_app.conftest import ROOT, until


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_module_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    port = str(free_port())
    with start("reference_app", PORT=port, SPOOL_DIR=str(tmp_path / "spool")) as process:

        def answer() -> bool:
            assert process.poll() is None
            try:
                return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(answer, 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) in (0, -signal.SIGTERM)
        finally:
            process.kill()


@pytest.mark.parametrize(
    "module", [("reference_app",), ("uvicorn", "reference_app.main:app", "--port", "0")]
)
def test_a_wrong_setting_is_named_in_one_line(module: tuple[str, ...]) -> None:
    with start(*module, MAX_UPLOAD_MB="plenty", ADMIN_KEY="secret") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "MAX_UPLOAD_MB" in said
    assert "'plenty'" in said
    assert len(said.splitlines()) == 1, said


def test_an_unusable_spool_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = str(tmp_path / "file" / "spool")
    with start("reference_app", PORT=str(free_port()), SPOOL_DIR=spool) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "SPOOL_DIR" in said
    assert "Traceback" not in said, said

"""`python -m reference_app` serves; what keeps it from starting is said in one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
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


def is_ready(port: str, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_the_module_serves_in_one_process_and_ends_on_sigterm(tmp_path: Path) -> None:
    port = str(free_port())
    spool = str(tmp_path / "spool")
    with start("reference_app", PORT=port, SPOOL_DIR=spool, WEB_CONCURRENCY="4") as process:
        try:
            until(lambda: is_ready(port, process), 60)
            below = psutil.Process(process.pid).children()
            assert not [one for one in below if "reference_app" in one.cmdline()]
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) in (0, -signal.SIGTERM)
        finally:
            process.kill()


NEW_PIDS = ("unshare", "--pid", "--fork", "--mount-proc")
CAN_BE_FIRST = (
    shutil.which("unshare") is not None
    and subprocess.run([*NEW_PIDS, "true"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.slow
@pytest.mark.skipif(not CAN_BE_FIRST, reason="no right to make a namespace of processes")
def test_as_the_first_process_of_a_container_it_ends_on_sigterm(tmp_path: Path) -> None:
    """The kernel delivers to process 1 only the signals that it has asked for."""
    port = str(free_port())
    environment = {**os.environ, "PORT": port, "SPOOL_DIR": str(tmp_path / "spool")}
    command = [*NEW_PIDS, sys.executable, "-m", "reference_app", "--host", "127.0.0.1"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True) as outer:
        try:
            until(lambda: is_ready(port, outer), 60)
            (first,) = psutil.Process(outer.pid).children()
            first.send_signal(signal.SIGTERM)
            assert outer.wait(40) in (0, 128 + signal.SIGTERM)
        finally:
            for one in psutil.Process(outer.pid).children() if outer.poll() is None else ():
                one.kill()


def test_connections_outlive_the_wait_that_a_refused_client_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from reference_app.__main__ import main

    given: dict[str, object] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: given.update(options))
    monkeypatch.setenv("PORT", "8123")
    main(["--host", "0.0.0.0"])
    expected = {"host": "0.0.0.0", "port": 8123, "workers": 1, "timeout_keep_alive": 75}
    assert given.items() >= expected.items()


def test_a_wrong_port_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference_app.__main__ import main

    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit, match=r"PORT: a number .* \(given: 'http'\)$"):
        main([])


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

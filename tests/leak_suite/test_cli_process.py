"""The command line as a process: signals, closed pipes, what it imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leak_suite.result import Outcome, RunResult

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _process(code: str, **more: Any) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, **more)


def _run(code: str, act: Callable[[subprocess.Popen[str]], None]) -> tuple[int, str]:
    with _process(code) as process:
        act(process)
        error = process.communicate(timeout=60)[1]
    return process.returncode, error


WAITING = """
import sys, time
from leak_suite.cli import main
from leak_suite.cli.commands.run import RunCommand
def check(*_, **__):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", file=sys.stderr)
sys.exit(main(["run", "job:f"], [RunCommand(check)]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_and_is_status_2(number: int) -> None:
    def interrupt(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)

    status, error = _run(WAITING, interrupt)
    assert status == 2
    assert error == "cleaned up\nleak-suite: stopped before it could judge\n"


def test_a_reader_that_goes_away_is_status_2_and_no_noise() -> None:
    code = "import sys; from leak_suite.cli import main; sys.stdin.read(1); "
    code += "sys.exit(main(['show', 'run.json']))"
    Path("run.json").write_text(RunResult("job:f", {}, Outcome.STABLE, 10, 1.0).to_json())
    with _process(code, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write("x")
        process.stdin.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (2, "")


def test_the_door_imports_nothing_heavy() -> None:
    code = "import sys, leak_suite, leak_suite.cli; "
    code += "print([m for m in ('rich', 'psutil', 'memray', 'httpx') if m in sys.modules])"
    with _process(code) as process:
        assert process.communicate(timeout=60)[0] == "[]\n"

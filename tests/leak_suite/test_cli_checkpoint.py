"""What `leak-suite run` does while it measures, and when it is to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leak_suite.checks import STILL_RUNNING, RunProgress
from leak_suite.cli import checkpoint, main
from leak_suite.cli.commands.run import RunCommand
from leak_suite.errors import Interrupted
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult

ROOT = Path(__file__).parents[2]


def result(outcome: Outcome, reason: str = "") -> RunResult:
    return RunResult("job:f", {}, outcome, 10, 1.0, reason=reason)


class ScriptedCheck:
    """Stands where the real check does: tells what it was given, then ends as it was given."""

    def __init__(self, events: list[RunProgress], end: RunResult | BaseException) -> None:
        self.events, self.end = events, end
        self.after: Callable[[], Any] = lambda: None
        self.options = Options()

    def __call__(self, spec: object, options: Options, *, on_progress: Any) -> RunResult:
        del spec
        self.options = options
        for event in self.events:
            on_progress(event)
        self.after()
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measuring(outcome: Outcome = Outcome.INCONCLUSIVE) -> RunProgress:
    return RunProgress("measuring", 10, 1.0, lambda: result(outcome, STILL_RUNNING))


@pytest.mark.parametrize("outcome", [Outcome.STABLE, Outcome.GROWING, Outcome.INCONCLUSIVE])
def test_an_interrupted_run_shows_and_writes_its_verdict_and_ends_with_its_status(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    check = ScriptedCheck([], Interrupted(result(outcome, "the run was interrupted")))
    assert main(["run", "job:f", "-o", "run.json"], [RunCommand(check)]) == outcome.status
    assert RunResult.read(Path("run.json")).outcome is outcome
    assert outcome.value.upper() in capsys.readouterr().out


def test_a_short_run_writes_its_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ScriptedCheck([measuring()] * 3, result(Outcome.STABLE))
    check.after = lambda: monkeypatch.setattr(checkpoint, "seen", Path("run.json").exists(), False)
    main(["run", "job:f", "-o", "run.json"], [RunCommand(check)])
    assert not checkpoint.seen  # type: ignore[attr-defined]
    assert RunResult.read(Path("run.json")).outcome is Outcome.STABLE


def test_a_long_run_can_be_read_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_FIRST_SECONDS", 0.0)
    read: list[RunResult] = []
    check = ScriptedCheck([measuring()], result(Outcome.STABLE))
    check.after = lambda: read.append(RunResult.read(Path("out/run.json")))
    assert main(["run", "job:f", "-o", "out/run.json"], [RunCommand(check)]) == 0
    assert (read[0].outcome, read[0].reason) == (Outcome.INCONCLUSIVE, STILL_RUNNING)


def test_the_verdict_is_on_disk_before_the_line_is_looked_for() -> None:
    found = RunProgress("finding what grew", 10, 1.0, lambda: result(Outcome.GROWING))
    check = ScriptedCheck([found], RuntimeError("attribution broke"))
    assert main(["run", "job:f", "-o", "run.json"], [RunCommand(check)]) == 2
    assert RunResult.read(Path("run.json")).outcome is Outcome.GROWING


def test_a_file_that_cannot_be_kept_up_to_date_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "_FIRST_SECONDS", 0.0)
    Path("out").write_text("a file")
    check = ScriptedCheck([measuring()], result(Outcome.STABLE))
    ended: list[bool] = []
    check.after = lambda: ended.append(True)
    assert main(["run", "job:f", "-o", "out/run.json"], [RunCommand(check)]) == 2
    assert ended == [True]


def test_hours_are_a_soak_of_that_time() -> None:
    check = ScriptedCheck([], result(Outcome.STABLE))
    assert main(["run", "job:f", "--hours", "1.5"], [RunCommand(check)]) == 0
    assert (check.options.max_seconds, check.options.soak) == (5400.0, True)


@pytest.mark.parametrize("flags", ["--hours 1 --max-seconds 5", "--hours -1", "--hours much"])
def test_hours_that_make_no_sense_are_refused(
    flags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check = ScriptedCheck([], result(Outcome.STABLE))
    assert main(["run", "job:f", *flags.split()], [RunCommand(check)]) == 2
    assert "hours" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_run_that_is_reported_to_stop_ends_with_what_it_knows(number: int) -> None:
    Path("job.py").write_text("def nothing(): pass\n")
    command = [sys.executable, "-m", "leak_suite", "run", "job.py:nothing", "--hours", "1"]
    process = subprocess.Popen(
        [*command, "-o", "run.json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            until = time.monotonic() + 40
            while not Path("run.json").exists() and time.monotonic() < until:
                time.sleep(0.05)  # it appears once the run is long enough to have a verdict
            data = json.loads(Path("run.json").read_text())
            process.send_signal(number)
            out, error = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (data["outcome"], data["reason"]) == ("inconclusive", STILL_RUNNING)
    assert process.returncode == 0, out + error
    assert RunResult.read(Path("run.json")).outcome is Outcome.STABLE
    assert "interrupted" in out

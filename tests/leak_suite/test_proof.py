"""The proof of a fix: what counts as one, and the test that `init --from RUN.json` writes."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leak_suite.cli import main
from leak_suite.compare import unproved
from leak_suite.result import Cause, Details, Finding, Outcome, RunResult, Site
from leak_suite.subject import AppSpec, CallableSpec, CommandSpec

SITE = Site("/somewhere/jobs.py", 5, "leaky", 800.0, holder="jobs.KEPT")
GROWING = Finding("heap", "bytes", Outcome.GROWING, Cause.LEAK, 800.0, sites=(SITE,))
STABLE = Finding("heap", "bytes", Outcome.STABLE, detectable_rate=80.0)
NOISY = Finding("rss", "bytes", Outcome.INCONCLUSIVE, Cause.NOISY)
LEAK = {"heap": 800.0, "rss": 900.0}
RUN = RunResult(
    "jobs.py:leaky", {}, Outcome.GROWING, 900, 1.0, findings=(GROWING,),
    details=Details(command=("leak-suite", "run", "jobs.py:leaky", "-o", "run.json")),
)  # fmt: skip


def why(*findings: Finding) -> str:
    return unproved(replace(RUN, findings=findings), [LEAK])


def test_a_leak_is_gone_where_a_tenth_of_it_would_have_been_seen() -> None:
    assert why(STABLE) == ""
    assert "too short" in why(replace(STABLE, detectable_rate=81.0))
    assert "too short" in why(replace(STABLE, detectable_rate=None))


def test_a_leak_that_still_grows_is_named_with_its_line() -> None:
    assert why(GROWING).startswith("heap still grows at /somewhere/jobs.py:5: ")
    assert why(STABLE, replace(GROWING, metric="rss")).startswith("rss still grows")


def test_a_noisy_metric_beside_a_proof_does_not_matter_and_alone_proves_nothing() -> None:
    assert why(STABLE, NOISY) == ""
    assert "could be judged" in why(NOISY)
    assert "could be judged" in why()


def test_each_leak_needs_its_own_proof() -> None:
    found = unproved(replace(RUN, findings=(STABLE,)), [LEAK, {"fds": 1.0}])
    assert "none of fds could be judged" in found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jobs.py").write_text(
        "KEPT = []\n\n\ndef leaky():\n    KEPT.append(bytearray(3000))\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(run: RunResult, *words: str) -> int:
    run.write(Path("run.json"))
    return main(["init", "--from", "run.json", *words])


@pytest.mark.parametrize(
    ("words", "spec", "workload", "options"),
    [
        (["jobs.py:leaky", "--quiet"], CallableSpec("jobs.py:leaky"), "jobs.py:leaky", {}),
        (
            ["--app", "main:app", "--workload", "jobs.py:visit", "--budget", "peak=9M"],
            AppSpec("main:app", "jobs.py:visit"),
            "jobs.py:visit",
            {"budgets": ["peak=9M"]},
        ),
        (
            ["--workload", "jobs.py:visit", "--env", "A=1 2", "--", "python", "s.py", '"{port}"'],
            CommandSpec(
                ("python", "s.py", '"{port}"'), "jobs.py:visit", environment=(("A", "1 2"),)
            ),
            "jobs.py:visit",
            {},
        ),
    ],
    ids=["callable", "app", "command"],
)  # fmt: skip
def test_the_test_starts_what_the_run_started(
    project: Path, words: list[str], spec: object, workload: str, options: dict[str, Any]
) -> None:
    run = replace(RUN, details=Details(command=("leak-suite", "run", *words)))
    assert written(run) == 0
    (path,) = (project / "tests").glob("test_leak_*.py")
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    by_name = {call.func.id: call for call in calls if isinstance(call.func, ast.Name)}
    made = ast.unparse(by_name[type(spec).__name__])
    assert eval(made, {type(spec).__name__: type(spec)}) == spec
    resolved = by_name["resolve"]
    assert ast.literal_eval(resolved.args[0]) == options
    assert ast.literal_eval(resolved.keywords[0].value) == workload
    text = path.read_text()
    assert "line 5 of jobs.py (leaky), held by jobs.KEPT" in text
    assert '{"heap": 800}' in text
    assert "/somewhere" not in text


@pytest.mark.parametrize(
    ("run", "words", "said"),
    [
        (replace(RUN, outcome=Outcome.STABLE, findings=(STABLE,)), [], "is stable: nothing grows"),
        (replace(RUN, details=Details()), [], "was not written by `leak-suite run`"),
        (replace(RUN, details=Details(command=("pytest", "a.py::b"))), [], "was not written by"),
        (RUN, ["--app", "a:b"], "leave the rest out"),
        (RUN, ["-o", "/elsewhere/test.py"], "is not in this folder"),
    ],
)
def test_what_no_test_can_be_written_of_is_one_sentence(
    project: Path, run: RunResult, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written(run, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (project / "tests").exists()


def test_a_running_process_cannot_be_started_by_a_test(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--url", "http://127.0.0.1:9/health", "--metric", "rss"], ["--pid", "1"]):
        command = ("leak-suite", "run", *words)
        assert written(replace(RUN, details=Details(command=command))) == 2
        assert "which a test cannot start" in capsys.readouterr().err


def test_nothing_is_overwritten_and_another_place_can_be_given(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written(RUN) == 0
    assert written(RUN) == 2
    assert "exists already" in capsys.readouterr().err
    assert written(RUN, "-o", "checks/deep/test_it.py") == 0
    assert "parents[2]" in (project / "checks" / "deep" / "test_it.py").read_text()


@pytest.mark.slow
def test_the_test_fails_before_the_fix_and_passes_after_it(project: Path) -> None:
    def test_session() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert main(["run", "jobs.py:leaky", "--quiet", "-o", "run.json"]) == 1
    assert main(["init", "--from", "run.json"]) == 0
    failed = test_session()
    assert failed.returncode == 1
    assert "still grows at" in failed.stdout
    assert "jobs.py:5" in failed.stdout
    source = (project / "jobs.py").read_text()
    (project / "jobs.py").write_text(source.replace("KEPT.append", "len"))
    assert test_session().returncode == 0

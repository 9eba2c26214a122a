"""`action.yml`: its steps, run here as a runner would, on a small application."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leak_suite.result import RunResult
from tests.docs.blocks import ROOT

yaml = pytest.importorskip("yaml", reason="no YAML reader here")
pytest.importorskip("fastapi")

APP = """
from fastapi import FastAPI

app = FastAPI()
kept = []


@app.get("/")
def root():
    {body}
    return {{}}
"""
WORKLOAD = 'def visit(client):\n    client.get("/").raise_for_status()\n'


def action() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return read


def workflow() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    read: dict[str, Any] = yaml.safe_load(text)
    return read


class Runner:
    """Runs the action's steps as GitHub's runner does, as far as they are shell."""

    def __init__(self, project: Path, temp: Path, inputs: dict[str, str]) -> None:
        self.project, self.temp = project, temp
        defaults = {name: value.get("default", "") for name, value in action()["inputs"].items()}
        self.inputs = {**defaults, **inputs}
        self.outputs: dict[str, str] = {}
        self.summary = temp / "summary.md"
        self.log = ""

    def run(self) -> int:
        """The status of the last step that ran, or of the first that failed."""
        for step in action()["runs"]["steps"]:
            if "run" not in step or step["name"] == "Install leak-suite":
                continue
            status = self._step(step)
            if status:
                return status
        return 0

    def _step(self, step: dict[str, Any]) -> int:
        said = self.temp / "output"
        said.write_text("")
        environment = {name: self._filled(str(value)) for name, value in step["env"].items()}
        environment |= {"GITHUB_OUTPUT": str(said), "GITHUB_STEP_SUMMARY": str(self.summary)}
        environment |= {"GITHUB_WORKSPACE": str(self.project), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.project,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        self.log += done.stdout + done.stderr
        pairs = (line.partition("=") for line in said.read_text().splitlines())
        self.outputs |= {name: value for name, _, value in pairs}
        return done.returncode

    def _filled(self, text: str) -> str:
        known = {f"inputs.{name}": value for name, value in self.inputs.items()}
        known |= {f"steps.run.outputs.{name}": value for name, value in self.outputs.items()}
        known |= {"runner.temp": str(self.temp), "github.action_path": str(ROOT)}
        return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: known[found[1]], text)


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    """A runner in whose tools `leak-suite` is this very checkout."""
    tools = tmp_path / "temp" / "leak-suite-tools" / "bin"
    tools.mkdir(parents=True)
    for name, module in (("leak-suite", "-m leak_suite"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (tools / name).chmod(0o755)

    def made(body: str, **inputs: str) -> Runner:
        project = tmp_path / "project"
        project.mkdir()
        (project / "app.py").write_text(APP.format(body=body))
        (project / "workload.py").write_text(WORKLOAD)
        subject = {"app": "app.py:app", "workload": "workload.py:visit", "python": sys.executable}
        return Runner(project, tmp_path / "temp", {**subject, **inputs})

    return made


@pytest.mark.slow
def test_a_leak_is_shown_everywhere_and_then_fails_the_job(runner: Any) -> None:
    job = runner('kept.append("x" * 3000 + str(len(kept)))', args="--max-seconds 30")
    assert job.run() == 1, job.log
    folder = job.project / "leak-suite-report"
    assert RunResult.read(folder / "run.json").outcome.value == job.outputs["outcome"] == "growing"
    assert "### leak-suite: growing" in job.summary.read_text()
    assert re.search(r"^::error file=app\.py,line=10,", job.log, re.MULTILINE), job.log
    pytest.importorskip("jinja2")
    assert "<html" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_stable_application_passes(runner: Any) -> None:
    job = runner("pass", args="--no-attribution")
    assert job.run() == 0, job.log
    assert job.outputs["outcome"] == "stable"


def test_what_cannot_be_judged_is_said_and_fails_with_2(runner: Any) -> None:
    job = runner("pass", app="nowhere.py:app", output="out")
    assert job.run() == 2
    assert job.outputs == {"status": "2", "outcome": "inconclusive"}
    assert "could not judge" in job.summary.read_text()


def test_words_with_odd_characters_stay_words(runner: Any) -> None:
    job = runner("pass", app="$(touch pwned).py:app; touch pwned")
    assert job.run() == 2
    assert not (job.project / "pwned").exists()


def test_no_step_puts_an_input_into_its_script() -> None:
    steps = [step["run"] for step in action()["runs"]["steps"] if "run" in step]
    assert len(steps) == 4
    assert not [script for script in steps if "${{" in script]
    assert action()["runs"]["using"] == "composite"


def test_every_input_is_used_and_told_in_the_docs() -> None:
    text = (ROOT / "action.yml").read_text()
    page = (ROOT / "docs" / "ci.md").read_text()
    for name in action()["inputs"]:
        assert f"inputs.{name}" in text
        assert f"| `{name}` |" in page


def test_the_workflow_runs_what_is_there() -> None:
    jobs = workflow()["jobs"]
    assert set(jobs) == {"tox", "action"}
    used = [step["with"] for step in jobs["action"]["steps"] if step.get("uses") == "./"]
    for given in used:
        assert set(given) <= set(action()["inputs"])
        for word in ("app", "workload"):
            assert (ROOT / given[word].partition(":")[0]).is_file()

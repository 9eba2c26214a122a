"""The files that `leak-suite init` writes, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leak_suite.init.routes import Routes

__all__ = [
    "TEST",
    "WORKLOAD",
    "app_test",
    "command_test",
    "configuration",
    "request_workload",
    "task_workload",
]

WORKLOAD = "leak_workload.py"
TEST = "tests/test_leaks.py"
_LEFT_OUT = "# What is not called; every report says so. Take out what you add to the workload."


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


def request_workload(app: str, routes: Routes, headers: Mapping[str, str] | None = None) -> str:
    """One request for every safe route, with `headers`."""
    given = ", headers=HEADERS" if headers else ""
    lines = [
        f'"""What a visitor of {app} does; leak-suite repeats it and watches what grows."""',
        "",
        "import httpx",
        "",
        *_not_called(routes.left_out),
    ]
    if headers:
        lines += [
            "# Without these the settings refuse every request.",
            f"HEADERS = {json.dumps(headers)}",
            "",
        ]
    lines += [
        "",
        "def visit(client: httpx.Client) -> None:",
        '    """One request for every route that is safe to repeat."""',
        *(f"    get(client, {_quoted(path)})" for path in routes.plain),
    ]
    if routes.made_up:
        lines.append("    # These values are made up: put in ones that your application knows.")
        lines += [f"    client.get({_quoted(path)}{given})" for path in routes.made_up]
    if not routes.plain and not routes.made_up:
        lines.append("    # No route could be called without knowing more: put your own here.")
        lines.append('    get(client, "/")')
    lines += [
        "",
        "",
        "def get(client: httpx.Client, path: str) -> None:",
        '    """An error of the server ends the run; what it refuses is named in the report."""',
        f"    answer = client.get(path{given})",
        "    if answer.is_server_error:",
        "        answer.raise_for_status()",
    ]
    return "\n".join(lines) + "\n"


def task_workload(
    app: str,
    called: Sequence[str],
    left_out: Iterable[tuple[str, str]],
    environment: Mapping[str, str],
) -> str:
    """Every task that can be called, with its result waited for."""
    module, _, name = app.partition(":")
    lines = [f'"""Tasks of {app}; leak-suite repeats them and watches what grows in the worker."""']
    if environment:
        lines += [
            "",
            "import os",
            "",
            "# The application keeps no results: they come back through the broker, as with --env.",
            *(
                f"os.environ.setdefault({_quoted(name)}, {_quoted(value)})"
                for name, value in environment.items()
            ),
        ]
    lines += [
        "",
        f"from {module} import {name}" + ("  # noqa: E402" if environment else ""),
        "",
        *_not_called([("task", name, why) for name, why in left_out]),
        'QUEUE = "leak-suite"  # its own, so that no other worker takes these tasks',
        "",
        "",
        "def run_tasks() -> None:",
        '    """Every task that needs no arguments, one after the other, each to its end."""',
    ]
    call = f"    {name}.send_task({{}}, queue=QUEUE).get(timeout=30)"
    lines += [call.format(_quoted(task)) for task in called]
    if not called:
        lines += [
            "    # No task can be called without knowing more: put your own in place of this one,",
            "    # which is Celery's and does nothing.",
            call.format('"celery.accumulate", args=[1]'),
        ]
    return "\n".join(lines) + "\n"


def _not_called(routes: Iterable[tuple[str, str, str]]) -> list[str]:
    rows = [f"    ({_quoted(kind)}, {_quoted(path)}),  # {why}" for kind, path, why in routes]
    return [_LEFT_OUT, "NOT_CALLED = [", *rows, "]", ""] if rows else []


def app_test(app: str) -> str:
    """The run of an ASGI application as a test."""
    spec = f'AppSpec("{app}", WORKLOAD, options.python)'
    return _test("AppSpec", f"{WORKLOAD}:visit", [], spec)


def command_test(
    words: Sequence[str],
    workload: str,
    folder: Path,
    python: Path | None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The run of what a command serves as a test; `words` follow the interpreter."""
    interpreter = "sys.executable" if python is None else _quoted(str(python))
    constants = [f"COMMAND = {_quoted(' '.join(words))}"]
    more = "" if folder == Path() else f", folder=ROOT / {_quoted(folder.as_posix())}"
    if environment:
        more += f", environment={tuple(environment.items())!r}"
    spec = f"CommandSpec(({interpreter}, *COMMAND.split()), WORKLOAD{more})"
    return _test("CommandSpec", workload, constants, spec, uses_sys=python is None)


def _test(
    kind: str, workload: str, constants: Iterable[str], spec: str, *, uses_sys: bool = False
) -> str:
    lines = [
        '"""The application keeps nothing of its work; `leak-suite run` does the same."""',
        "",
        *(["import sys"] if uses_sys else []),
        "from pathlib import Path",
        "",
        "import pytest",
        "",
        "from leak_suite.checks import check",
        "from leak_suite.options import resolve",
        "from leak_suite.render import failure_message",
        "from leak_suite.result import Outcome",
        f"from leak_suite.subject import {kind}",
        "",
        "ROOT = Path(__file__).resolve().parents[1]",
        f'WORKLOAD = "{workload}"',
        *constants,
        "",
        "",
        "def test_the_workload_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:",
        "    monkeypatch.chdir(ROOT)",
        "    options = resolve({}, ROOT, workload=WORKLOAD)",
        f"    spec = {spec}",
        "    result = check(spec, options)",
        "    assert result.outcome is Outcome.STABLE, failure_message(result)",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

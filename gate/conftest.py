"""One set of runs a session, and the verdict table at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.runs import OUT, Runs
from gate.target import VARIABLE, app_target
from leak_suite.render import render

_RUNS = pytest.StashKey[Runs]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The app, and the folder for run files."""
    group = parser.getgroup("gate")
    group.addoption("--app", help=f"module:attribute of the app (default: {app_target()})")
    group.addoption("--out", type=Path, default=OUT, help=f"folder for run files (default: {OUT})")


def pytest_configure(config: pytest.Config) -> None:
    """Pass the app to the subjects, which are other processes, by the environment."""
    if target := config.getoption("app"):
        patch = pytest.MonkeyPatch()
        patch.setenv(VARIABLE, target)
        config.add_cleanup(patch.undo)


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> Runs:
    """The runs of this session; a workload is measured when the first check asks for it."""
    pytestconfig.stash[_RUNS] = Runs(pytestconfig.getoption("out"))
    return pytestconfig.stash[_RUNS]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the verdict on every workload that was measured."""
    runs = config.stash.get(_RUNS, None)
    if runs is None:
        return
    for name, result in runs:
        terminalreporter.section(name)
        terminalreporter.write(render(result))
        terminalreporter.write_line(f"run file: {runs.file(name)}")

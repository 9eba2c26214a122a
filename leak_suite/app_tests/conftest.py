"""One set of runs a session, and the verdict table at its end."""

from __future__ import annotations

import pytest

from leak_suite.app_tests.measured import OUT, ROOT, Runs
from leak_suite.render import console as render

_RUNS = pytest.StashKey[Runs]()


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> Runs:
    """The runs of this session; a workload is measured when the first check asks for it."""
    pytestconfig.stash[_RUNS] = Runs()
    return pytestconfig.stash[_RUNS]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the verdict on every workload that was measured."""
    for name, result in config.stash.get(_RUNS, ()):
        terminalreporter.section(name)
        terminalreporter.write(render(result))
        terminalreporter.write_line(f"run file: {(OUT / name).relative_to(ROOT)}.json")

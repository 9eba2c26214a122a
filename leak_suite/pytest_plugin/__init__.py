"""The pytest plugin: options, marker, fixture and reports.

Every pytest session of an environment imports this file, so the rest is imported by the session's
first leak check.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from leak_suite.pytest_plugin.options import (
    CHECKS,
    MARKER,
    NO_MARKER,
    PATHS,
    SHORT_FAILURE,
    add_options,
    validate_markers,
)
from leak_suite.pytest_plugin.unittest_case import is_unittest

if TYPE_CHECKING:
    from leak_suite.options import Options
    from leak_suite.pytest_plugin.checker import LeakChecker
    from leak_suite.result import RunResult
    from leak_suite.subject import Spec

__all__ = ["leak_check"]

_MARKER_HELP = (
    "leak_check(**options): repeat this test and fail it if memory, handles, threads or the like "
    "grow; options as in [tool.leak_suite]"
)
_NOT_REPEATED = "nothing was repeated in this test"


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hook that makes a check, so that a conftest can replace it."""
    pluginmanager.add_hookspecs(_Hooks)


class _Hooks:
    @staticmethod
    @pytest.hookspec(firstresult=True)
    def pytest_leak_check(spec: Spec, options: Options) -> RunResult | None:
        """Measure and judge `spec`; the first result counts."""


@pytest.hookimpl(trylast=True)
def pytest_leak_check(spec: Spec, options: Options) -> RunResult:
    """Measure and judge `spec` where no other plugin does."""
    from leak_suite.checks import check
    from leak_suite.pytest_plugin.children import TestedSpec

    return spec.check(options) if isinstance(spec, TestedSpec) else check(spec, options)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini options and flags."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse configured paths where there is nothing."""
    config.addinivalue_line("markers", _MARKER_HELP)
    config.addinivalue_line("markers", f"{NO_MARKER}: leave this test out of leak_check_paths")
    for path in config.getini(PATHS):
        if not path.exists():
            raise pytest.UsageError(f"{PATHS}: there is nothing at {path}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests under the configured paths, but for those that check something themselves."""
    if not isinstance(item, pytest.Function) or MARKER in item.fixturenames:
        return
    if item.get_closest_marker(MARKER) or item.get_closest_marker(NO_MARKER):
        return
    if any(item.path.is_relative_to(path) for path in item.config.getini(PATHS)):
        item.add_marker(MARKER)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse wrong options of a marker before any test runs.

    A worker of xdist cannot end the session; there the tests with wrong options fail.
    """
    if not hasattr(config, "workerinput"):
        validate_markers(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Have all processes that tests start seen, where there are leak checks among the tests."""
    items = getattr(session, "items", ())  # the controller of xdist has none
    if session.config.option.collectonly or not any(_wants_check(item) for item in items):
        return (yield)
    from leak_suite.pytest_plugin.children import CHILDREN, ChildAgents

    with ChildAgents() as session.config.stash[CHILDREN]:
        return (yield)


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakChecker:
    """Check a callable inside a test: `leak_check(function, *arguments, **options)`."""
    from leak_suite.pytest_plugin.checker import LeakChecker

    return LeakChecker(request.node)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Replace a marked test by its check; first, because other plugins call the test themselves."""
    if pyfuncitem.get_closest_marker(MARKER) is None:
        return (yield)
    from leak_suite.pytest_plugin.checker import LeakChecker

    test = pyfuncitem.obj
    pyfuncitem.obj = LeakChecker(pyfuncitem).wrap(test)
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Do the same for a marked method of a unittest.TestCase, which that class calls itself."""
    if item.get_closest_marker(MARKER) is None or not is_unittest(item):
        return (yield)
    from leak_suite.pytest_plugin.checker import LeakChecker
    from leak_suite.pytest_plugin.unittest_case import checked_method

    with checked_method(item, LeakChecker(item).wrap):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the checks to the report, shorten failures, and fail a test that made no check."""
    report = yield
    if call.when != "call":
        return report
    checks = item.stash.get(CHECKS, [])
    if not checks and report.passed and _wants_check(item):
        report.outcome = "failed"
        report.longrepr = f"leak check: could not judge: {_NOT_REPEATED}"
        checks = [{"outcome": "inconclusive", "causes": [f"INCONCLUSIVE: {_NOT_REPEATED}"]}]
    elif call.excinfo is not None and call.excinfo.value is item.stash.get(SHORT_FAILURE, None):
        report.longrepr = call.excinfo.getrepr(style="value")
    vars(report)["leak_checks"] = checks
    return report


def _wants_check(item: pytest.Item) -> bool:
    by_fixture = MARKER in getattr(item, "fixturenames", ())
    return by_fixture or item.get_closest_marker(MARKER) is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the section "leak checks", if there were any."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    if any(getattr(report, "leak_checks", ()) for report in reports):
        from leak_suite.pytest_plugin.summary import write_summary

        write_summary(terminalreporter, reports)

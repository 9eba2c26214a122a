"""The pytest plugin's door: options, marker, fixture and reports; all work is behind it.

Every pytest session of an environment imports this file, so it imports pytest and nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from leak_suite.options import Options
    from leak_suite.pytest_plugin.checking import LeakChecker
    from leak_suite.result import RunResult
    from leak_suite.subject import Spec

__all__ = ["leak_check"]

OPTIONS = {
    "max_seconds": ("string", "time in which one check has to be judged (60)"),
    "max_growth_bytes": ("string", "growth at which a check is stopped (1GiB)"),
    "max_threads": ("string", "threads at which a check is stopped (200)"),
    "budgets": ("linelist", "METRIC=SIZE, a peak or level that must not be passed"),
    "tolerances": ("linelist", "METRIC=RATE, growth per iteration that does not matter"),
    "tracked": ("linelist", "MODULE:CLASS whose living objects are counted"),
    "counters": ("linelist", "NAME=MODULE:CALLABLE that returns a number"),
    "python": ("string", "interpreter of isolated checks"),
    "output": ("string", "folder for one run file a check"),
    "inconclusive": ("string", 'what to do where a check could not judge: "fail" or "warn"'),
    "isolate": ("flag", "repeat tests in a fresh interpreter"),
    "attribution": ("flag", "look for the line that leaks"),
}
"""Ini options `leak_NAME` and flags `--leak-NAME`: their kind and help."""

_MARKER = (
    "leak_check(**options): repeat this test and fail it if memory, handles, threads or the like "
    "grow; options as in [tool.leak_suite]"
)
_CHECKS = pytest.StashKey["list[dict[str, str]]"]()
SHORT = pytest.StashKey[BaseException]()
"""The failure of a test that is told without a traceback."""


_UNMADE = "nothing was repeated in this test"


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the seam through which a check is made."""
    pluginmanager.add_hookspecs(_Hooks)


class _Hooks:
    @staticmethod
    @pytest.hookspec(firstresult=True)
    def pytest_leak_check(spec: Spec, options: Options) -> RunResult | None:
        """Measure and judge `spec`; the first answer counts."""


@pytest.hookimpl(trylast=True)
def pytest_leak_check(spec: Spec, options: Options) -> RunResult:
    """The usual check."""
    from leak_suite.check import check

    return check(spec, options)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register OPTIONS, without defaults: what was not given must not hide what was."""
    group = parser.getgroup("leak checks")
    for name, (kind, said) in OPTIONS.items():
        ini: Any = "linelist" if kind == "linelist" else "string"
        parser.addini(f"leak_{name}", said, type=ini, default=None)
        flag, dest = f"--leak-{name.replace('_', '-')}", f"leak_{name}"
        if kind == "flag":
            for prefix, value in (("--leak-", "true"), ("--leak-no-", "false")):
                group.addoption(
                    prefix + name, dest=dest, action="store_const", const=value, help=said
                )
        else:
            action = "append" if kind == "linelist" else "store"
            group.addoption(flag, dest=dest, action=action, default=None, help=said)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakChecker:
    """Check a callable inside a test: `leak_check(function, *arguments, **options)`."""
    from leak_suite.pytest_plugin.checking import LeakChecker

    return LeakChecker(request.node, request.node.stash.setdefault(_CHECKS, []))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Put the check of a marked test in the place of the test, whoever then calls it."""
    if pyfuncitem.get_closest_marker("leak_check") is None:
        return (yield)
    from leak_suite.pytest_plugin.checking import LeakChecker

    checker = LeakChecker(pyfuncitem, pyfuncitem.stash.setdefault(_CHECKS, []))
    test = pyfuncitem.obj
    pyfuncitem.obj = checker.in_place_of(test)
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep failures short, let the checks travel with the report, and leave none unmade unseen."""
    report = yield
    if call.when != "call":
        return report
    checks = item.stash.get(_CHECKS, [])
    if not checks and report.passed and _asked_for(item):
        report.outcome = "failed"
        report.longrepr = f"leak check: could not judge: {_UNMADE}"
        checks = [{"outcome": "inconclusive", "said": f"INCONCLUSIVE: {_UNMADE}"}]
    elif call.excinfo is not None and call.excinfo.value is item.stash.get(SHORT, None):
        report.longrepr = call.excinfo.getrepr(style="value")
    vars(report)["leak_checks"] = checks  # plain data, so that xdist carries it
    return report


def _asked_for(item: pytest.Item) -> bool:
    by_fixture = "leak_check" in getattr(item, "fixturenames", ())
    return by_fixture or item.get_closest_marker("leak_check") is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a check, the ones that failed last, nearest to the eye."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    lines = [
        (check["outcome"], f"{check['outcome']}  {report.nodeid}  {check['said']}")
        for report in reports
        for check in getattr(report, "leak_checks", ())
    ]
    if not lines:
        return
    terminalreporter.section("leak checks")
    colours = {"stable": {"green": True}, "inconclusive": {"yellow": True}}
    for outcome, line in sorted(lines, key=lambda item: item[0] != "stable"):
        terminalreporter.write_line(line, **colours.get(outcome, {"red": True}))

"""The section "leak checks" at the end of a session: one line for each cause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["write_summary"]

_ORDER = ("stable", "inconclusive", "over budget", "growing")  # the worst last, above the prompt
_COLOURS: dict[str, dict[str, bool]] = {
    "stable": {"green": True},
    "inconclusive": {"yellow": True},
}


def write_summary(terminal: pytest.TerminalReporter, reports: Iterable[Any]) -> None:
    """Write each cause once, with the tests that it was found in; stable checks as a number.

    With -v every stable check has its line too.
    """
    tests: dict[tuple[str, str], list[str]] = {}
    stable = 0
    for report in reports:
        for check in getattr(report, "leak_checks", ()):
            if check["outcome"] == "stable" and terminal.verbosity <= 0:
                stable += 1
                continue
            for cause in check["causes"]:
                tests.setdefault((check["outcome"], cause), []).append(report.nodeid)
    terminal.section("leak checks")
    if stable:
        terminal.write_line(f"stable  {stable} check{'s' if stable > 1 else ''}", green=True)
    for (outcome, cause), names in sorted(tests.items(), key=lambda one: _ORDER.index(one[0][0])):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        line = f"{outcome}  {names[0]}{more}  {cause}"
        terminal.write_line(line, **_COLOURS.get(outcome, {"red": True}))

"""A memory-regression gate for Python services.

from leak_suite import Options, check

result = check("shop/jobs.py:order", Options(max_seconds=30))
assert result.outcome.status == 0, result.finding("heap").reason
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leak_suite.api import check
    from leak_suite.errors import LeakError, LeakSuiteError
    from leak_suite.options import Options
    from leak_suite.result import Finding, Outcome, RunResult, Site

__version__ = "0.1.0"
__all__ = [
    "Finding",
    "LeakError",
    "LeakSuiteError",
    "Options",
    "Outcome",
    "RunResult",
    "Site",
    "check",
]

_HOMES = {
    "check": "api",
    "LeakError": "errors",
    "LeakSuiteError": "errors",
    "Options": "options",
    "Finding": "result",
    "Outcome": "result",
    "RunResult": "result",
    "Site": "result",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]

"""Does a service fit a plan: trials under a real kernel memory limit.

The names are loaded when they are asked for, so that reading a result does not load what measures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leak_suite.fit.backends import BACKENDS
    from leak_suite.fit.plans import PLANS, Plan
    from leak_suite.fit.result import FitResult
    from leak_suite.fit.run import FitOptions, run_fit

__all__ = ["BACKENDS", "PLANS", "FitOptions", "FitResult", "Plan", "run_fit"]

_MODULES = {
    "BACKENDS": "backends",
    "PLANS": "plans",
    "Plan": "plans",
    "FitResult": "result",
    "FitOptions": "run",
    "run_fit": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

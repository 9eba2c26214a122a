"""What a program's memory is made of, which part of it grows, and what helps.

The names are loaded when they are asked for, so that reading a result does not load what measures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leak_suite.explain.result import Explanation, Word
    from leak_suite.explain.run import explain

__all__ = ["Explanation", "Word", "explain"]

_MODULES = {"Explanation": "result", "Word": "result", "explain": "run"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

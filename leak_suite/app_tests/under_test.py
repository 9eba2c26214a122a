"""Which app the suite is run on: the reference service, unless `--app` or the environment says."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["VARIABLE", "app", "target"]

VARIABLE = "LEAK_SUITE_APP"
_REFERENCE = "reference_app.main:app"


def target() -> str:
    """The app as servers take it, module:attribute; any service of this kind will do."""
    return os.environ.get(VARIABLE) or _REFERENCE


def app() -> Any:
    """The app itself, in the process that serves it."""
    module, _, name = target().partition(":")
    return getattr(import_module(module), name)

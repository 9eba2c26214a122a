"""The app that the gate measures: the reference service, unless `--app` or LEAK_SUITE_APP says."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["VARIABLE", "app_target", "load_app"]

VARIABLE = "LEAK_SUITE_APP"
_REFERENCE = "reference_app.main:app"


def app_target() -> str:
    """The app as servers take it, `module:attribute`; any service with the same routes will do."""
    return os.environ.get(VARIABLE) or _REFERENCE


def load_app() -> Any:
    """The app itself, in the process that serves it."""
    module, _, name = app_target().partition(":")
    return getattr(import_module(module), name)

"""The command `leak-suite`."""

from __future__ import annotations

from leak_suite.cli.entry import main

__all__ = ["main"]

"""A first check for an application that has none: `leak-suite init`."""

from __future__ import annotations

from leak_suite.init.start import Started, start

__all__ = ["Started", "start"]

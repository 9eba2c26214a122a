"""A run from start to finish: measure until it can be judged, judge, and find what grew."""

from __future__ import annotations

from leak_suite.checks.check import STILL_RUNNING, RunProgress, check

__all__ = ["STILL_RUNNING", "RunProgress", "check"]

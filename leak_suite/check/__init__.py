"""A run from start to finish: measure until it can be judged, judge, and find what grew."""

from __future__ import annotations

from leak_suite.check.check import STILL_RUNNING, Interrupted, Progress, check

__all__ = ["STILL_RUNNING", "Interrupted", "Progress", "check"]

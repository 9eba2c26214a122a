"""Judging: from series of readings to findings and an outcome. Pure: no clock or I/O."""

from __future__ import annotations

from leak_suite.verdict.judge import judge
from leak_suite.verdict.reconcile import Verdict, judge_all, overall_outcome
from leak_suite.verdict.tolerance import Tolerance, resolve_tolerance

__all__ = [
    "Tolerance",
    "Verdict",
    "judge",
    "judge_all",
    "overall_outcome",
    "resolve_tolerance",
]

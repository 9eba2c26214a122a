"""Judging: from series of readings to findings and an outcome. Pure: no clock or I/O."""

from __future__ import annotations

from leak_suite.verdict.judge import judge
from leak_suite.verdict.reconcile import Verdict, fold, judge_all
from leak_suite.verdict.tolerance import Tolerance, scale_of

__all__ = ["Tolerance", "Verdict", "fold", "judge", "judge_all", "scale_of"]

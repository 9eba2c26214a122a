"""Comparison: what changed between two sets of runs, beyond what repeats of one set differ by."""

from __future__ import annotations

from leak_suite.compare.changes import Change, Comparison, MinRate, compare, smallest_change
from leak_suite.compare.files import profiles, read_runs, update_baselines
from leak_suite.compare.profile import Profile, environment_difference, profile
from leak_suite.compare.proof import unproved

__all__ = [
    "Change",
    "Comparison",
    "MinRate",
    "Profile",
    "compare",
    "environment_difference",
    "profile",
    "profiles",
    "read_runs",
    "smallest_change",
    "unproved",
    "update_baselines",
]

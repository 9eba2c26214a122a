"""History: the level and the growth of each workload, commit by commit, and where they changed."""

from __future__ import annotations

from leak_suite.history.change_points import change_points
from leak_suite.history.tracks import ChangePoint, History, KeptCommit, Track, follow

__all__ = ["ChangePoint", "History", "KeptCommit", "Track", "change_points", "follow"]

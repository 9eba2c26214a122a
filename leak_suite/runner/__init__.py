"""Repeating the workload and collecting the series. No opinion on what they mean."""

from __future__ import annotations

from leak_suite.runner.limits import Limits
from leak_suite.runner.process_samples import least_in_a_life
from leak_suite.runner.runner import Runner, Stop

__all__ = ["Limits", "Runner", "Stop", "least_in_a_life"]

"""Does a service fit a plan: trials under a real kernel memory limit."""

from __future__ import annotations

from leak_suite.fit.fit import FitOptions, fit
from leak_suite.fit.plans import PLANS, Plan
from leak_suite.fit.ways import WAYS

__all__ = ["PLANS", "WAYS", "FitOptions", "Plan", "fit"]

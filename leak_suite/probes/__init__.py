"""Every metric that can be read, in one table, and the reads that work from outside."""

from __future__ import annotations

from leak_suite.probes.crosscheck import cross_check
from leak_suite.probes.outside import ProcessTree
from leak_suite.probes.table import PROBES, Probe, bytes_per_unit, probe_for

__all__ = ["PROBES", "Probe", "ProcessTree", "bytes_per_unit", "cross_check", "probe_for"]

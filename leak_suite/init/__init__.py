"""First files for a project, `leak-suite init`: a workload and a test, or a test of a leak."""

from __future__ import annotations

from leak_suite.init.proof import write_proof
from leak_suite.init.start import Started, start

__all__ = ["Started", "start", "write_proof"]

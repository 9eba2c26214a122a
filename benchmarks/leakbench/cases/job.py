"""The job that LEAKBENCH_CASE (module:function) and LEAKBENCH_SEED choose, as `job.py:job`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

_module, _, _name = os.environ["LEAKBENCH_CASE"].partition(":")
_case = getattr(importlib.import_module(f"benchmarks.leakbench.cases.{_module}"), _name)

job = _case.job(int(os.environ.get("LEAKBENCH_SEED", "0")))

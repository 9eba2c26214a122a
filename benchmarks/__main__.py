"""`python -m benchmarks NAME [ARGUMENT ...]`: everything that is measured by hand or at night."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["BENCHMARKS", "main"]

ROOT = Path(__file__).resolve().parents[1]

BENCHMARKS: Mapping[str, tuple[str, str]] = {
    "agent": ("benchmarks.agent_overhead", "what the agent costs each worker"),
    "before": ("benchmarks.pipeline_before", "the pipeline against that of an earlier commit"),
    "catalogue": ("benchmarks.catalogue", "the gate on web applications and workers"),
    "damage": ("benchmarks.damage", "how much damage to a video passes without a word"),
    "defects": ("fixtures.defects", "every seeded defect against the gate, as a table"),
    "evidence": ("benchmarks.evidence", "what is too long for CI, resumable"),
    "field": ("benchmarks.field", "the gate on releases of well-known packages"),
    "leakbench": ("benchmarks.leakbench", "the harness and its peers on a folder of cases"),
    "pipeline": ("benchmarks/test_pipeline.py", "the pipeline against the bare work"),
    "profile": ("benchmarks.time_profile", "where the time of `leak-suite run` goes"),
    "remedies": ("benchmarks.remedies", "programs with a planted kind of memory, explained"),
    "temporaries": (
        "benchmarks.temporaries",
        "native temporaries of random size, which are no leak",
    ),
    "soak": ("gate.soak", "a mixed day's jobs on the service, for hours"),
}
"""Name to the module (or the file for pytest) that is run, and what it measures."""


def main(words: Sequence[str]) -> int:
    """Run a benchmark with the words that follow its name; 2 where there is no such."""
    name, *arguments = words or [""]
    if name not in BENCHMARKS:
        print("usage: python -m benchmarks NAME [ARGUMENT ...]\n")
        for known, (_, about) in BENCHMARKS.items():
            print(f"  {known:<11} {about}")
        return 0 if name in ("", "-h", "--help") else 2
    target, _ = BENCHMARKS[name]
    if target.endswith(".py"):
        command = [sys.executable, "-m", "pytest", target, *arguments]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    sys.argv = [f"python -m benchmarks {name}", *arguments]
    # As `python -m` does; its exit status passes through as SystemExit.
    runpy.run_module(target, run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The profile of a run: its phases are those of one run, and nothing is counted twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_phases_of_a_run_add_up_to_all_of_it() -> None:
    command = [sys.executable, "-m", "benchmarks", "profile", "callable"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    head, _, row = output.strip().splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    seconds = dict(zip(names[1:], map(float, cells[1:]), strict=True))
    whole, _ = seconds.pop("all"), seconds.pop("of it self-check")
    assert min(seconds.values()) >= 0
    assert seconds["workload"] > 0
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.05)

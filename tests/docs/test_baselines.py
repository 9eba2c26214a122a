"""The baselines that are committed: of every workload, small, of no machine, refused elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gate.test_one_process import WORKLOADS
from leak_suite.cli import main
from leak_suite.compare import profiles
from leak_suite.compare.profile import Profile
from leak_suite.result import Finding, Outcome, RunResult, Series
from tests.docs.blocks import ROOT

FOLDER = ROOT / "reports" / "baselines"
KEPT = {one.subject: one for one in profiles(FOLDER)}
FINISHED = "reference_app.main:app under gate.workloads:finished_job"


def run_like(kept: Profile, factor: float = 1.0, **environment: Any) -> RunResult:
    """A run that reads what the baseline says, but for its environment."""
    levels = {"rss": "peak", "peak": "peak", "blocks": "allocations"}
    series = []
    for metric, name in levels.items():
        level = kept.levels[name]
        first = (0.0, kept.levels["footprint"].value) if metric == "rss" else (0.0, level.value)
        samples = (first, *((float(at), level.value * factor) for at in range(1, 12)))
        series.append(Series(metric, level.unit, samples, 1))
    findings = tuple(Finding(metric, "", Outcome.STABLE) for metric in kept.growth)
    return RunResult(
        kept.subject, {**kept.environment, **environment}, Outcome.STABLE, 11, 1.0,
        tuple(series), findings,
    )  # fmt: skip


def compared(run: RunResult, folder: Path) -> int:
    run.write(folder / "run.json")
    names = [file for file in FOLDER.glob("*.json") if file.name.endswith("finished_job.json")]
    return main(["compare", str(names[0]), str(folder)])


def test_every_workload_of_the_suite_has_one() -> None:
    kept = {subject.rpartition(":")[2] for subject in KEPT}
    assert kept == set(WORKLOADS)
    assert {one.runs for one in KEPT.values()} == {3}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem[-24:])
def test_it_is_small_and_names_no_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text) < 2500
    # A subject may be a file of the repository; no string begins at a root or names a kernel.
    assert not re.search(r'"(?:/|~|[A-Z]:\\)|/(?:home|root|tmp|Users)/|Linux-', text)


def test_the_same_again_is_no_regression_and_a_tenth_more_is(tmp_path: Path) -> None:
    assert compared(run_like(KEPT[FINISHED]), tmp_path) == 0
    assert compared(run_like(KEPT[FINISHED], 1.1), tmp_path) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"platform": "darwin"}, "platforms (linux and darwin)"),
        ({"machine": "aarch64"}, "machines (x86_64 and aarch64)"),
        ({"python": "3.12.1"}, "Pythons"),
        ({"allocator": "musl"}, "allocators (glibc and musl)"),
        ({"allocator_settings": {}}, "allocator settings"),
    ],
)
def test_a_run_of_elsewhere_is_refused_with_what_differs(
    change: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(run_like(KEPT[FINISHED], **change), tmp_path) == 2
    out = capsys.readouterr().out
    assert out.startswith("COULD NOT COMPARE")
    assert said in out

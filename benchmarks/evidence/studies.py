"""The studies: what the project claims, and how each claim is put to the test."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.evidence.study import Figures, Study
from leak_suite.fit import FitResult
from leak_suite.units import MIB
from load import invariants
from load.broken_promises import PROMISES

__all__ = ["STUDIES"]

_SERVER = (
    *("--", sys.executable, "-m", "uvicorn", "reference_app.main:app"),
    *("--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
)
_SOAK_JOBS, _SOAK_HOURS = 2000, 0.3
#: Which promise each broken service breaks, by the scenario that has to find it out.
_BROKEN: tuple[tuple[str, str, str], ...] = (
    *(row for row in PROMISES if row[0] == "concurrency"),
    ("concurrency", "leaks_a_descriptor", invariants.MEMORY),
    ("rejection", "no_size_limit", "one byte more is refused with 413"),
    ("rejection", "no_memory_guard", "memory over the hard limit refuses with 503"),
)


# -- what is run


def _suite(seed: int, folder: Path) -> list[str]:
    del seed  # real jobs in real processes: nothing in them is drawn by lot
    junit = f"--junitxml={folder / 'suite.xml'}"
    return [
        *("pytest", "-q", "-p", "no:cacheprovider", "gate"),
        *("--out", str(folder), junit),
    ]


def _faults(files: str, *more: str) -> Callable[[int, Path], list[str]]:
    def command(seed: int, folder: Path) -> list[str]:
        tests = [f"tests/fault_injection/{name}" for name in files.split()]
        scope = ["--fault-scope", "full", "--fault-seed", str(seed)]
        junit = f"--junitxml={folder / 'suite.xml'}"
        words = ["pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
        return [*words, *tests, *scope, *more, junit]

    return command


def _soak(seed: int, folder: Path) -> list[str]:
    del seed  # the order of what happens is drawn with SOAK_SEED, 1 unless it is set
    return ["gate.soak", str(_SOAK_HOURS), "-o", str(folder / "run.json")]


def _load(*words: str) -> Callable[[int, Path], list[str]]:
    def command(seed: int, folder: Path) -> list[str]:
        del seed
        return ["load", *words, "-o", str(folder)]

    return command


def _fit(*words: str) -> Callable[[int, Path], list[str]]:
    def command(seed: int, folder: Path) -> list[str]:
        del seed
        workload = ("--workload", "tests/deploy/full_queue.py:one_job")
        return ["leak_suite", "fit", *words, *workload, "-o", str(folder / "run.json"), *_SERVER]

    return command


def _defects(seed: int, folder: Path) -> list[str]:
    del seed
    return ["fixtures.defects", "--fresh", "-o", str(folder / "defects")]


# -- what it left


def _tests(folder: Path) -> Figures:
    """How many tests ran, and the numbers that they recorded."""
    cases = list(ElementTree.parse(folder / "suite.xml").iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    figures: Figures = {"tests": len(cases) - skipped, "skipped": skipped}
    for recorded in (each for case in cases for each in case.iter("property")):
        name = str(recorded.get("name"))
        try:
            figures[name] = figures.get(name, 0) + float(str(recorded.get("value")))
        except ValueError:
            continue
    if not figures["tests"]:
        raise ValueError("no test ran")
    return figures


def _verdicts(folder: Path) -> Figures:
    """What the suite's run files say of every metric."""
    found = [finding for file in folder.glob("*.json") for finding in _json(file)["findings"]]
    outcomes = [finding["outcome"] for finding in found]
    return {
        **_tests(folder),
        "metrics": len(outcomes),
        "growing": outcomes.count("growing"),
        "inconclusive": outcomes.count("inconclusive"),
    }


def _soaked(folder: Path) -> Figures:
    run = _json(folder / "run.json")
    if run["iterations"] < _SOAK_JOBS:
        raise ValueError(f"{run['iterations']} jobs in place of {_SOAK_JOBS}")
    rates = {f["metric"]: f["rate"] or 0.0 for f in run["findings"] if f["metric"] != "pss"}
    return {"jobs": run["iterations"], **{f"{metric} per job": r for metric, r in rates.items()}}


def _loaded(scenario: str, folder: Path, promise: str = "") -> Figures:
    outcome = _json(folder / f"load-{scenario}" / "outcome.json")
    violated = [check["name"] for check in outcome["checks"] if check["state"] == "violated"]
    if promise and promise not in violated:
        raise ValueError(f"violated: {', '.join(violated) or 'nothing'}")
    names = ("uploads", "jobs", "rounds")
    return {**{name: outcome[name] for name in names}, "violated": len(violated)}


def _both(folder: Path) -> Figures:
    first, second = _loaded("concurrency", folder), _loaded("rejection", folder)
    return {name: first[name] + second[name] for name in first}


def _fits(folder: Path, jobs: int = 0) -> Figures:
    fit = FitResult.from_data(_json(folder / "run.json"))
    if not fit.limit.enforced:
        raise ValueError("the limit was not enforced")
    if fit.iterations < jobs:
        raise ValueError(f"{fit.iterations} jobs in place of {jobs}")
    figures: dict[str, float] = {
        "jobs": fit.iterations,
        "limit MiB": fit.limit.bytes / MIB,
        "killed": fit.counters.oom_kills,
        **{f"peak {name} MiB": round(size / MIB, 1) for name, size in asdict(fit.peak).items()},
    }
    if fit.slowdown is not None:
        figures["times slower than without a limit"] = fit.slowdown
    if fit.minimum is not None and fit.minimum.bytes is not None:
        figures["smallest limit MiB"] = round(fit.minimum.bytes / MIB, 1)
    return figures


def _detected(folder: Path) -> Figures:
    rows = _json(folder / "defects.json")
    return {
        "defects": len([row for row in rows if row["name"] != "clean"]),
        "detected": sum(row["detected"] for row in rows if row["name"] != "clean"),
        "as expected": sum(row["as_expected"] for row in rows if row["name"] != "clean"),
        "sites named": sum(bool(row["site"]) for row in rows),
    }


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


# -- the studies


def _broken(scenario: str, app: str, promise: str) -> Study:
    words = [scenario, "--app", f"fixtures.broken_services:{app}", "--factory"]
    words += ["--stall-seconds", "20", "--recovery-seconds", "2"]
    # A leak shows over rounds; all else shows in one.
    if scenario == "concurrency" and promise != invariants.MEMORY:
        words += ["--rounds", "1"]
    return Study(
        name=f"load-{scenario}-{app}",
        claim=f"`{scenario}` is red on `{app}`, for: {promise}",
        repetitions=20,
        command=_load(*words),
        figures=partial(_loaded, scenario, promise=promise),
        expected=1,
    )


_ALL = (
    Study(
        "clean-suite",
        "The whole gate on the clean app: nothing grows",
        repetitions=50,
        command=_suite,
        figures=_verdicts,
        minutes=15,
    ),
    Study(
        "failing-calls",
        "Every fallible call of a job fails once in three ways, and nothing is left",
        command=_faults("test_failing_calls.py"),
        figures=_tests,
        minutes=40,
    ),
    Study(
        "mutated-clips",
        "500 clips cut, flipped and spliced: the service lives, and nothing is left",
        command=_faults("test_mutated_clips.py"),
        figures=_tests,
        minutes=40,
    ),
    Study(
        "ends",
        "A job ends in every state, at every moment, and 100 workers are killed at random ones",
        command=_faults("test_ends.py"),
        figures=_tests,
        minutes=40,
    ),
    Study(
        "sequences",
        "Any sequence of requests, dying workers among them, keeps the service right",
        command=_faults("test_sequences.py test_routes.py"),
        figures=_tests,
        minutes=40,
    ),
    Study(
        "checklist",
        "The checklist of the report on the service's model holds",
        command=_faults("test_checklist.py"),
        figures=_tests,
        minutes=15,
    ),
    Study(
        "soak",
        "2,000 mixed jobs end flat",
        command=_soak,
        figures=_soaked,
        minutes=60,
    ),
    Study(
        "defects",
        "Every seeded defect is detected as the catalogue says",
        command=_defects,
        figures=_detected,
        minutes=60,
    ),
    Study(
        "load-healthy",
        "`concurrency` and `rejection` are green on the service as it is",
        repetitions=20,
        command=_load("ci"),
        figures=_both,
    ),
    *(_broken(*row) for row in _BROKEN),
    Study(
        "fifty-users",
        "50 users for 5 minutes: no 5xx but 503, no job lost, memory back within 10% after 60 s",
        command=_load("soak", "--users", "50", "--seconds", "300"),
        figures=partial(_loaded, "soak"),
        minutes=15,
    ),
    Study(
        "fit-512",
        "100 jobs of 1080p with a full queue fit 512 MiB, from a cold cache",
        command=_fit(
            *("--plan", "render-starter", "--users", "12"),
            *("--iterations", "100", "--max-seconds", "1500"),
        ),
        figures=partial(_fits, jobs=100),
        minutes=60,
    ),
    Study(
        "fit-485",
        "They pass under 485 MiB, from a cold cache",
        command=_fit("--memory", "485M", "--users", "12", "--iterations", "24"),
        figures=partial(_fits, jobs=24),
        minutes=30,
    ),
    Study(
        "fit-minimum",
        "The smallest limit that passes beyond doubt is known",
        command=_fit(
            *("--memory", "512M", "--users", "2", "--iterations", "4", "--find-minimum"),
        ),
        figures=_fits,
        minutes=60,
    ),
    Study(
        "fit-control",
        "With threads and the allocator's defaults the service does not fit 512 MiB",
        command=_fit("--plan", "render-starter", "--users", "2", "--iterations", "8"),
        figures=_fits,
        expected=1,
        environment={"WORKERS": "thread", "ALLOCATOR": "default"},
        minutes=30,
    ),
)

STUDIES: Mapping[str, Study] = {study.name: study for study in _ALL}

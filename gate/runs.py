"""Runs of the harness on the reference service, each measured once and kept as a run file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gate.target import app_target
from leak_suite.attribution import attribute_afresh
from leak_suite.checks import check
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import AppSpec

__all__ = ["OUT", "ROOT", "TOLERANCES", "UNGUARDED", "Runs", "environment", "workload_target"]

#: The checkout.
ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "reports" / "out"

_TRACKED = {
    "detector": "reference_app.pipeline.pose:PoseDetector",
    "capture": "reference_app.pipeline.decode:FrameReader",
    "writer": "reference_app.pipeline.encode:VideoWriter",
    "table": "reference_app.pipeline.landmarks_csv:LandmarkCsvWriter",
    "job": "reference_app.jobs.model:Job",
    "listener": "reference_app.jobs.events:Subscription",
}
_COUNTERS = {
    name: f"gate.counters:{name}" for name in ("jobs", "job_folders", "listeners", "taken_places")
}
_KIB = 1024

# A guard that refuses work would hide what it guards against.
UNGUARDED = {"MEMORY_SOFT_MB": "4000", "MEMORY_HARD_MB": "4000"}
# One process for everything, and for long: with a fresh worker per job nothing that a worker
# forgets would survive to be seen, and the checks would pass on anything.
_ONE_PROCESS = {
    "WORKERS": "thread",
    "MALLOC_ARENA_MAX": "1",
    "LOG_LEVEL": "warning",
    **UNGUARDED,
}
# An hour is long; this workload waits for the expiry, and the others must not meet it.
_SOON_OVER = {"JOB_TTL_SECONDS": "0.2", "EXPIRY_INTERVAL_SECONDS": "0.05"}
# MediaPipe's Python side keeps 3 to 5 blocks, 2 collector objects and 0.6 KiB of heap for every
# graph that was ever made, closed or not; and a job moves heap and resident memory by some to tens
# of KiB up and down. A worker process ends with its job, so in the service as deployed none of
# this adds up.
TOLERANCES = {
    "blocks": 32.0,
    "gc_objects": 16.0,
    "heap": 16.0 * _KIB,
    "rss": 64.0 * _KIB,
    "rss_anon": 64.0 * _KIB,
    "pss": 64.0 * _KIB,
}
_OPTIONS = Options(
    max_seconds=60.0,
    attribution=False,
    tolerances=TOLERANCES,
    tracked=tuple(_TRACKED.values()),
    counters=_COUNTERS,
)


class Runs:
    """The runs of one session, by workload: measured when first asked for."""

    def __init__(self, out: Path = OUT) -> None:
        self._out = out
        self._results: dict[str, RunResult] = {}

    def of(self, workload: str) -> RunResult:
        """The run of one of the workloads on the service in one process, its jobs in threads."""
        if workload not in self._results:
            spec = AppSpec(app_target(), workload_target(workload))
            with environment(_ONE_PROCESS | (_SOON_OVER if workload == "expired_job" else {})):
                self.keep(workload, _with_lines(spec, check(spec, _OPTIONS)))
        return self._results[workload]

    def keep(self, name: str, result: RunResult) -> None:
        """Remember a result, and write its run file."""
        self._results[name] = result
        result.write(self.file(name))

    def file(self, name: str) -> Path:
        """Where the run file of a result is."""
        return self._out / f"{name}.json"

    def __iter__(self) -> Iterator[tuple[str, RunResult]]:
        return iter(self._results.items())


def _with_lines(spec: AppSpec, result: RunResult) -> RunResult:
    """The result with the lines of what grows, traced in a server that is started for it."""
    if result.outcome is not Outcome.GROWING:
        return result
    done = result.iterations - result.details.warm_up_iterations
    findings = attribute_afresh(
        spec,
        result.findings,
        iterations=done,
        warm_up=2,
        options=_OPTIONS,
        pace=result.seconds / max(1, done),
    )
    return replace(result, findings=findings)


def workload_target(workload: str) -> str:
    """The name under which the harness finds one of the workloads."""
    return f"gate.workloads:{workload}"


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """What subjects started inside the block inherit."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

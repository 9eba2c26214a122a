"""Runs of the harness on the service on more than one machine: one of its processes is measured.

The subject is a command with the agent in each of its Python processes. What else the service needs
runs beside it: PostgreSQL, an S3 server, and a process of the other role.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fixtures.scaled import WORKER, WORKER_READY, ScaledService, scaled_service
from gate.runs import ROOT, TOLERANCES, UNGUARDED, environment, workload_target
from gate.target import app_target
from gate.there import URL
from leak_suite import Options, RunResult, check
from leak_suite.subject import CommandSpec

__all__ = ["check_api", "check_worker", "left", "scaled_for_gate"]

#: What the service does now and then it does in every round: sweeps and beats are measured too.
_OFTEN = {"EXPIRY_INTERVAL_SECONDS": "1", "JOB_BEAT_SECONDS": "1", "QUEUE_POLL_SECONDS": "1"}
# CPython's table of interned names doubles once, by 0.9 MiB: some 25 names a job come and go, each
# takes a place. In a run that ends just then that is some tens of KiB a job.
_HEAP = 64.0 * 1024
# A pool of connections opens one more when two of its users first meet: 2 in 240 jobs.
_FDS = 0.05
_OPTIONS = Options(max_seconds=120.0, tolerances={**TOLERANCES, "heap": _HEAP, "fds": _FDS})


@contextmanager
def scaled_for_gate(folder: Path) -> Iterator[ScaledService]:
    """Database and store, and no process yet.

    Raises:
        ServerMissing: PostgreSQL, SeaweedFS or a client of them is not installed.
    """
    with scaled_service(folder, MALLOC_ARENA_MAX="1", **UNGUARDED, **_OFTEN) as service:
        yield service


def check_api(service: ScaledService, workload: str, app: str = "") -> RunResult:
    """Measure a process that takes uploads in; a worker of the service has to run."""
    server = ("-m", "uvicorn", app or app_target(), "--host", "127.0.0.1", "--port", "{port}")
    return check(
        _spec(service, "api", (sys.executable, *server), workload_target(workload)), _OPTIONS
    )


def check_worker(
    service: ScaledService,
    workload: str,
    command: Sequence[str] = WORKER,
    *,
    workers: str = "thread",
) -> RunResult:
    """Measure a process that does jobs, all of them: no other worker may run.

    With `workers="thread"` it does them itself, and nothing that a job forgets ends with a process
    of its own. Uploads go to the first of the service's processes with a port.
    """
    target = f"gate.there:{workload}"
    spec = _spec(service, "worker", tuple(command), target, WORKERS=workers)
    with environment({URL: service.apis[0].base_url}):
        return check(spec, _OPTIONS)


def left(service: ScaledService) -> list[str]:
    """What is left when every job was removed: rows of jobs, objects, files of uploads and jobs."""
    from reference_app.storage.s3 import S3ObjectStore

    with environment(service.environment):
        store = S3ObjectStore(service.environment["STORAGE_URL"])
    files = [path for path in service.spool.rglob("*") if path.is_file()]
    return [
        *service.sql("SELECT 'row ' || job_id FROM reference_app.jobs").splitlines(),
        *(f"object {key}" for key in asyncio.run(store.keys("jobs/"))),
        *(f"file {path}" for path in files if not path.name.startswith(".")),
    ]


def _spec(
    service: ScaledService, role: str, argv: tuple[str, ...], workload: str, **changes: str
) -> CommandSpec:
    variables = {**service.variables(role, "subject"), **changes}
    ready_when = WORKER_READY if role == "worker" else ""
    return CommandSpec(argv, workload, ready_when, tuple(variables.items()), ROOT)

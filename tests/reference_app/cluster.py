"""A service on more than one machine, as processes of this one: real database, real store."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import psutil

from fixtures.scaled import AUDIT
from fixtures.servers.postgres import PostgresServer
from fixtures.servers.s3 import BUCKET, S3Server
from leak_suite.service_process import ServiceProcess
from tests.reference_app.conftest import FINAL, ROOT, Client, until
from tests.reference_app.stand_in_engine import RELEASE

__all__ = ["AUDIT", "QUICK", "Cluster", "cluster"]

_API = [sys.executable, "-m", "uvicorn", "tests.reference_app.stand_in:app", "--port", "{port}"]
_WORKER = [sys.executable, "-m", "tests.reference_app.stand_in_worker"]
#: What a fault has to be over within, seconds in place of the usual half minutes.
QUICK = {
    "WORKERS": "thread",
    "JOB_LEASE_SECONDS": "3",
    "JOB_BEAT_SECONDS": "0.5",
    "QUEUE_POLL_SECONDS": "1",
    "EXPIRY_INTERVAL_SECONDS": "1",
    "DRAIN_SECONDS": "1",
}


@dataclass
class Cluster:
    """Processes that share a database and a store; each has a spool folder of its own."""

    folder: Path
    environment: dict[str, str]
    database: PostgresServer
    database_name: str
    _stack: ExitStack
    processes: list[ServiceProcess] = field(default_factory=list)

    def api(self, **changes: str) -> Client:
        """Start a process that takes uploads in."""
        process = self._start("api", [*_API, "--no-access-log"], changes)
        process.wait_until_healthy(60)
        http = self._stack.enter_context(httpx.Client(base_url=process.base_url, timeout=30))
        return Client(http, self.folder)

    def worker(self, **changes: str) -> ServiceProcess:
        """Start a process that does jobs."""
        process = self._start("worker", _WORKER, changes)
        log = self.folder / f"{len(self.processes) - 1}-worker.log"
        until(lambda: "service started" in log.read_text() or not process.alive)
        assert process.alive, process.describe_exit()
        return process

    def release(self) -> None:
        """Let all jobs that hold go on, on every machine."""
        for index in range(len(self.processes)):
            spool = self.folder / str(index)
            spool.mkdir(exist_ok=True)
            (spool / RELEASE).touch()

    def object_keys(self) -> set[str]:
        """The keys of all objects."""
        from reference_app.storage.s3 import S3ObjectStore

        # The client reads where the server is, and with which key, from the environment.
        with patch.dict(os.environ, self.environment):
            store = S3ObjectStore(self.environment["STORAGE_URL"])
        return set(asyncio.run(store.keys("jobs/")))

    def _start(self, role: str, command: list[str], changes: dict[str, str]) -> ServiceProcess:
        index = len(self.processes)
        spool = {"SPOOL_DIR": str(self.folder / str(index)), "ROLE": role}
        log = self.folder / f"{index}-{role}.log"
        environment = {**self.environment, **spool, **changes}
        process = ServiceProcess(command, folder=ROOT, environment=environment, log=log)
        self._stack.callback(_end, process)
        self.processes.append(process)
        return process


@contextmanager
def cluster(
    folder: Path, postgres: PostgresServer, s3: S3Server, **environment: str
) -> Iterator[Cluster]:
    """An empty database and an empty place in the store; processes end with the block."""
    from reference_app.jobs.postgres_store import migrate

    name = f"{folder.name}-{folder.parent.parent.name}".lower().replace("_", "-")
    url = postgres.create(name)
    asyncio.run(migrate(url))
    values = {
        **s3.environment,
        "DATABASE_URL": url,
        "STORAGE_URL": f"s3://{BUCKET}/{name}",
        **QUICK,
        **environment,
    }
    try:
        with ExitStack() as stack:
            yield Cluster(folder, values, postgres, name, stack)
    finally:
        postgres.drop(name)


def wait_all(client: Client, ids: list[str], seconds: float = 90) -> dict[str, dict[str, Any]]:
    """The jobs once all of them have ended."""

    def ended() -> dict[str, dict[str, Any]] | None:
        found = {job_id: client.status(job_id) for job_id in ids}
        return found if all(one.get("status") in FINAL for one in found.values()) else None

    return dict(until(ended, seconds))


def _end(process: ServiceProcess) -> None:
    """End a process at once, with all that it started."""
    tree = psutil.Process(process.pid).children(recursive=True) if process.alive else []
    process.stop(0)
    psutil.wait_procs(tree, 10)

"""The service under load: started for one run with a spool folder of its own, and ended with it."""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fixtures.scaled import scaled_service
from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.service_process import ServiceProcess
from load.plan import ROOT, LoadPlan

__all__ = ["Service", "check_reachable", "serve", "serve_scaled"]

_START_SECONDS = 90.0
_WORKERS = 2


@dataclass(frozen=True)
class Service:
    """A running service: where its processes with a port are, and what a plan says of it.

    `memory_pressure`: while this file exists, the service holds as many more MiB as it says; None
    where it cannot be made to.
    """

    urls: tuple[str, ...]
    pids: tuple[int, ...]
    spool: Path
    memory_pressure: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its first process with a port is."""
        return self.urls[0]

    def known_to(self, plan: LoadPlan) -> LoadPlan:
        """The plan for a run on this service."""
        return replace(
            plan,
            pids=",".join(map(str, self.pids)),
            spool=str(self.spool),
            memory_pressure=str(self.memory_pressure or ""),
            hosts=",".join(self.urls) if self.environment else "",
            database_url=self.environment.get("DATABASE_URL", ""),
            storage_url=self.environment.get("STORAGE_URL", ""),
        )


@contextmanager
def serve(
    app: str, log: Path, *, factory: bool = False, variables: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Serve `app` from the repository until the block ends; it gets 40 s to drain.

    Raises:
        SubjectError: it did not start, or does not answer `/health`.
    """
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        spool, memory_pressure = Path(folder, "spool"), Path(folder, "memory_pressure")
        environment = {
            "SPOOL_DIR": str(spool),
            "LOAD_APP": app,
            "LOAD_APP_FACTORY": "1" if factory else "",
            "LOAD_MEMORY_PRESSURE": str(memory_pressure),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            **(variables or {}),
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", "load.pressure_app:create"]
        command += ["--host", "127.0.0.1", "--port", "{port}", "--workers", "1"]
        # As deployed: a client that comes back after Retry-After must not find its connection
        # closing under its hands.
        command += ["--timeout-keep-alive", "75"]
        log.parent.mkdir(parents=True, exist_ok=True)
        with ServiceProcess(command, folder=ROOT, environment=environment, log=log) as process:
            process.wait_until_healthy(_START_SECONDS)
            yield Service((process.base_url,), (process.pid,), spool, memory_pressure)


@contextmanager
def serve_scaled(
    app: str, log: Path, *, factory: bool = False, apis: int, slots: int
) -> Iterator[Service]:
    """Serve the form on more than one machine: `apis` processes with a port, two that do jobs.

    PostgreSQL and SeaweedFS are started for it. The output of all processes goes to the folder
    `log`. `environment` is what the processes find database and store by.

    Raises:
        SubjectError: a process did not start.
        ServerMissing: a server is not installed.
    """
    # As deployed, but for `app`; half of the jobs at once on each of the two.
    command = [sys.executable, "-m", "uvicorn", app, *(["--factory"] if factory else [])]
    command += ["--host", "127.0.0.1", "--port", "{port}", "--workers", "1"]
    command += ["--timeout-keep-alive", "75", "--no-access-log"]
    with scaled_service(log, WORKER_SLOTS=str(max(1, slots // _WORKERS))) as service:
        for _ in range(apis):
            service.api(command)
        for _ in range(_WORKERS):
            service.worker()
        processes = (*service.apis, *service.workers)
        yield Service(
            tuple(one.base_url for one in service.apis),
            tuple(one.pid for one in processes),
            service.spool,
            environment=service.environment,
        )


def check_reachable(url: str) -> None:
    """Check that a service answers at all: one that is not there breaks no invariant.

    Raises:
        ConfigurationError: `url` is not one of http or https.
        SubjectError: `/health` cannot be fetched.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--host {url}: give it with http:// or https://")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=30):  # noqa: S310
            return
    except (urllib.error.URLError, OSError) as error:
        raise SubjectError(f"{url}/health cannot be fetched: {error}") from None

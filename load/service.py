"""The service under load: started for one run with a spool folder of its own, and ended with it."""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.service_process import ServiceProcess
from load.plan import ROOT

__all__ = ["Service", "check_reachable", "serve"]

_START_SECONDS = 90.0


@dataclass(frozen=True)
class Service:
    """A running service.

    `memory_pressure`: while this file exists, the service holds as many more MiB as it says.
    """

    url: str
    pid: int
    spool: Path
    memory_pressure: Path


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
            yield Service(process.base_url, process.pid, spool, memory_pressure)


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

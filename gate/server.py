"""The service as it is deployed: uvicorn, its worker processes, and a spool folder of its own."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from gate.runs import ROOT
from gate.target import app_target
from leak_suite.service_process import ServiceProcess
from reference_app.jobs.sqlite_store import FILE_SUFFIXES
from reference_app.storage.instance import DATABASE_NAME

__all__ = ["GateServer"]

_START_SECONDS = 60.0


class GateServer:
    """A running server and a client of it; leaving the block stops it with SIGTERM and waits.

    `environment`: the settings of the service, on top of those of this process.
    """

    client: httpx.Client

    def __init__(self, folder: Path, **environment: str) -> None:
        self.spool = folder / "spool"
        self._folder = folder
        self._environment = {"SPOOL_DIR": str(self.spool), **environment}
        self._stack = ExitStack()

    def __enter__(self) -> GateServer:
        self._folder.mkdir(exist_ok=True)
        address = ("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning")
        with self._stack as stack:
            self._process = stack.enter_context(
                ServiceProcess(
                    (sys.executable, "-m", "uvicorn", app_target(), *address),
                    folder=ROOT,
                    environment=self._environment,
                    log=self._folder / "server.log",
                )
            )
            self._process.wait_until_healthy(_START_SECONDS)
            self.url = self._process.base_url
            self.client = stack.enter_context(httpx.Client(base_url=self.url, timeout=60.0))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """Its first process."""
        return self._process.pid

    def memory(self) -> dict[str, Any]:
        """The JSON of `/health/memory`."""
        answer: dict[str, Any] = self.client.get("/health/memory").raise_for_status().json()
        return answer

    def processes(self) -> list[psutil.Process]:
        """The server and everything under it."""
        return list(self._process.tree.processes())

    def files(self) -> list[Path]:
        """Files in the spool folder; one may vanish while they are listed.

        Left out are those that a service has without any job: locks, and the record of jobs.
        """
        found = [Path(folder, name) for folder, _, names in os.walk(self.spool) for name in names]
        record = {DATABASE_NAME + suffix for suffix in FILE_SUFFIXES}
        return [
            path
            for path in found
            if not path.name.startswith(".")
            and not (path.parent.parent == self.spool and path.name in record)
        ]

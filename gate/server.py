"""The service as it is deployed: uvicorn, its process pool, a free port, a spool of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from gate.runs import ROOT
from gate.target import app_target
from leak_suite.errors import SubjectError

__all__ = ["Server"]

_START_SECONDS = 60.0
_STOP_SECONDS = 40.0


class Server:
    """Owns a running server; leaving the block stops it with SIGTERM and waits."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.spool = folder / "spool"
        self._log_path = folder / "server.log"
        self._environment = {"SPOOL_DIR": str(self.spool), **environment}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]

    def __enter__(self) -> Server:
        uvicorn = [sys.executable, "-m", "uvicorn", app_target()]
        place = ["--host", "127.0.0.1", "--port", str(self._port), "--log-level", "warning"]
        self._log_path.parent.mkdir(exist_ok=True)
        self._log = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [*uvicorn, *place],
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdout=self._log,
            stderr=self._log,
        )
        self.client = httpx.Client(base_url=self.url, timeout=60.0)
        self._wait_until_healthy()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._log.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its first process."""
        return self._process.pid

    def memory(self) -> dict[str, Any]:
        """What `/health/memory` says."""
        answer: dict[str, Any] = self.client.get("/health/memory").raise_for_status().json()
        return answer

    def processes(self) -> list[psutil.Process]:
        """The server and everything under it."""
        server = psutil.Process(self.pid)
        return [server, *server.children(recursive=True)]

    def files(self) -> list[Path]:
        """What lies in the spool, the lock of this run left out; deletions under way do no harm."""
        found = [Path(folder, name) for folder, _, names in os.walk(self.spool) for name in names]
        return [path for path in found if not path.name.startswith(".")]

    def log(self) -> str:
        """What the server has written so far."""
        return self._log_path.read_text()

    def _wait_until_healthy(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise SubjectError(f"the service did not start:\n{self.log()}")
            try:
                self.client.get("/health").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise SubjectError(f"the service did not answer in {_START_SECONDS:.0f} s:\n{self.log()}")

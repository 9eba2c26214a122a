"""The service under load, started for one run: a free port, a spool folder of its own, an end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load.plan import ROOT

__all__ = ["Service", "ServiceError", "check_reachable", "serve"]

_START_SECONDS = 90.0
_STOP_SECONDS = 40.0


class ServiceError(Exception):
    """The service did not start, or did not end as it should; the message says where to look."""


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    pid: int
    spool: Path
    ballast: Path


@contextmanager
def serve(
    app: str, log: Path, *, factory: bool = False, variables: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Serve `app` from the repository until the block ends; it gets the time to drain."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        root = Path(folder)
        port, spool, ballast = _free_port(), root / "spool", root / "ballast"
        environment = {
            **os.environ,
            "SPOOL_DIR": str(spool),
            "LOAD_APP": app,
            "LOAD_APP_FACTORY": "1" if factory else "",
            "LOAD_BALLAST": str(ballast),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            **(variables or {}),
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", "load.pressured:create"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        # As deployed: a client that comes back after Retry-After must not find its connection
        # closing under its hands.
        command += ["--timeout-keep-alive", "75"]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(process, url, log)
            yield Service(url, process.pid, spool, ballast)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the service ended with {process.returncode} at once: see {log}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - our own port
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServiceError(f"the service did not answer within {_START_SECONDS:g} s: see {log}")


def check_reachable(url: str) -> None:
    """Nobody who is not there can break a promise: that is no violation."""
    if not url.startswith(("http://", "https://")):
        raise ServiceError(f"--host {url}: give it with http:// or https://")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=30):  # noqa: S310
            return
    except (urllib.error.URLError, OSError) as error:
        raise ServiceError(f"{url}/health cannot be had: {error}") from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

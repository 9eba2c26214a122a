"""The service on trial: started inside a group, waited for, and ended with all its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.fit.groups import Group
from leak_suite.probes import ProcessTree
from leak_suite.subject import AppSpec, CommandSpec, Spec

__all__ = ["Server", "argv_of"]

_LAUNCH = Path(__file__).parent.parent / "agent" / "launch.py"
_STOP_SECONDS = 10.0


def argv_of(spec: Spec) -> tuple[str, ...]:
    """The command that serves `spec`; `{port}` stands where the port goes."""
    if isinstance(spec, CommandSpec):
        return spec.argv
    if isinstance(spec, AppSpec):
        place, _, name = spec.app.rpartition(":")
        folder = "."
        if place.endswith(".py"):
            folder, place = str(Path(place).resolve().parent), Path(place).stem
        python = str(spec.python or sys.executable)
        options = ("--app-dir", folder, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
        return (python, "-m", "uvicorn", f"{place}:{name}", *options)
    raise ConfigurationError("fit needs a service: --app, or -- COMMAND, with --workload")


class Server:
    """Owns the process. Its port is found from outside where the command has no `{port}`."""

    def __init__(self, spec: Spec, group: Group) -> None:
        self._port = _free_port() if any("{port}" in word for word in argv_of(spec)) else None
        argv = tuple(word.replace("{port}", str(self._port)) for word in argv_of(spec))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *group.wrap(argv)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.tree = ProcessTree(self._process.pid)

    @property
    def pid(self) -> int:
        """The server's process id; with docker, that of its client."""
        return self._process.pid

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait_until_it_listens(self, seconds: float) -> None:
        """SubjectError if it does not in this time, or ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.alive:
                raise SubjectError(self.last_words())
            if self._port is None:
                self._port = self.tree.listening_port()
            elif _accepts(self._port):
                return
            time.sleep(0.05)
        raise SubjectError(f"the service did not listen within {seconds:.0f} s")

    def last_words(self) -> str:
        """How it ended, and the end of what it wrote."""
        status = self._process.poll()
        if status is None:
            said = "the service still runs"
        elif status < 0:
            said = f"the service was killed by {signal.Signals(-status).name}"
        else:
            said = f"the service ended with status {status}"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 1500))
        text = self._log.read().decode("utf-8", "replace").strip()
        return said + (f": {text}" if text else "")

    def close(self) -> None:
        """Ask it to stop, then end its process group."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False

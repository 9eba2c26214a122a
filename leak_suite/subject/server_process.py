"""A server command: started here, waited for, and ended with all its processes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from leak_suite.errors import SubjectError
from leak_suite.probes import ProcessTree
from leak_suite.subject.process import kill_group, signal_name

__all__ = ["ServerProcess"]

_LAUNCH = Path(__file__).parent.parent / "agent" / "launch.py"
_LOG_TAIL = 2000


class ServerProcess:
    """Owns the process. Its port is found from outside where the command has no `{port}`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._port = _free_port() if any("{port}" in word for word in argv) else None
        argv = [word.replace("{port}", str(self._port)) for word in argv]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.tree = ProcessTree(self._process.pid)

    @property
    def pid(self) -> int:
        """The server's process id."""
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
            time.sleep(0.02)
        hint = "; write {port} in the command where it takes one" if self._port is None else ""
        raise SubjectError(f"the service did not listen on a port within {seconds:.0f} s{hint}")

    def last_words(self) -> str:
        """How it ended, and the end of what it wrote."""
        status = self._process.poll()
        if status is None:
            said = "the service still runs"
        elif status < 0:
            said = f"the service was killed by {signal_name(-status)}"
        else:
            said = f"the service ended with status {status}"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL))
        text = self._log.read().decode("utf-8", "replace").strip()
        return said + (f": {text}" if text else "")

    def kill(self) -> None:
        """End its process group at once; when this returns, it is not alive."""
        kill_group(self._process.pid)
        self._process.wait()

    def close(self, seconds: float) -> None:
        """Ask it to stop, and after `seconds` at the latest end its process group."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()
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

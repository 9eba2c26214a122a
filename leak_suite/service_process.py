"""Start a command that serves HTTP on this machine, wait until it answers, and end it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from leak_suite.errors import SubjectError
from leak_suite.metrics.process_tree import ProcessTree

__all__ = ["ServiceProcess", "free_port", "kill_group", "last_error", "signal_name"]

PORT = "{port}"
"""Stands in a command where its port goes."""

_LAUNCH = Path(__file__).parent / "agent" / "launch.py"
_STOP_SECONDS = 40.0
_POLL_SECONDS = 0.02
_REQUEST_SECONDS = 5.0
_LOG_TAIL_BYTES = 2000
_LOG_ERROR_BYTES = 20_000
_LOG_TAIL_LINES = 10


class ServiceProcess:
    """A running command, alone in its process group; it dies with the thread that started it.

    `argv`: the command; every `{port}` in it becomes a free port of 127.0.0.1. Without one the
    port is found from outside, once a process of the tree listens on one.
    `folder`: its working directory (default: this process's own).
    `environment`: variables on top of this process's own.
    `log`: the file that its output goes to, made anew (default: an unnamed temporary file).
    `stop_seconds`: how long it may take to end when the `with` block is left.

    A command that cannot be executed shows as a process that has ended: `wait_until_listening`
    raises SubjectError with what the system said.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        stop_seconds: float = _STOP_SECONDS,
    ) -> None:
        self._port = free_port() if any(PORT in word for word in argv) else None
        self._stop_seconds = stop_seconds
        argv = [word.replace(PORT, str(self._port)) for word in argv]
        self._log = tempfile.TemporaryFile() if log is None else log.open("w+b")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *argv],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise
        self.tree = ProcessTree(self._process.pid)

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(self._stop_seconds)

    @property
    def pid(self) -> int:
        """The first process of the service; also the id of its process group."""
        return self._process.pid

    @property
    def base_url(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`, known once it listens at the latest."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        """Whether its first process still runs."""
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal as in `subprocess`; None while it runs."""
        return self._process.poll()

    def wait_until_listening(self, seconds: float) -> None:
        """Return when its port accepts a connection.

        Raises:
            SubjectError: it ended, or does not listen within `seconds`.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.alive:
                raise SubjectError(self.describe_exit())
            if self._port is None:
                self._port = self.tree.listening_port()
            elif _accepts_connection(self._port):
                return
            time.sleep(_POLL_SECONDS)
        hint = f"; write {PORT} in the command where it takes one" if self._port is None else ""
        raise SubjectError(f"the service did not listen on a port within {seconds:.0f} s{hint}")

    def wait_until_healthy(self, seconds: float, path: str = "/health") -> None:
        """Return when a GET of `path` is answered with a status below 400.

        Raises:
            SubjectError: it ended, or no such answer came within `seconds`.
        """
        until = time.monotonic() + seconds
        self.wait_until_listening(seconds)
        while time.monotonic() < until:
            if not self.alive:
                raise SubjectError(self.describe_exit())
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(self.base_url + path, timeout=_REQUEST_SECONDS),  # noqa: S310
            ):
                return
            time.sleep(_POLL_SECONDS)
        raise SubjectError(
            f"the service did not answer {path} within {seconds:.0f} s{self._tail()}"
        )

    def describe_exit(self) -> str:
        """How it ended, and the last 2,000 bytes of its output."""
        status = self._process.poll()
        if status is None:
            text = "the service still runs"
        elif status < 0:
            text = f"the service was killed by {signal_name(-status)}"
        else:
            text = f"the service ended with status {status}"
        return text + self._tail()

    def last_error(self) -> str:
        """See `last_error`, of its output."""
        return last_error(self._read_log(-_LOG_ERROR_BYTES))

    def output(self) -> str:
        """Everything that it has written to standard output and standard error so far."""
        return self._read_log(0)

    def send_signal(self, number: int) -> None:
        """Send a signal to its first process; nothing happens once it has ended."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit status.

        Raises:
            subprocess.TimeoutExpired: it still runs after `seconds`.
        """
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End its process group at once; when this returns, its first process is not alive."""
        kill_group(self._process.pid)
        self._process.wait()

    def stop(self, seconds: float) -> None:
        """Send SIGTERM, and after `seconds` at the latest end its process group."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()
        self._log.close()

    def _tail(self) -> str:
        text = self._read_log(-_LOG_TAIL_BYTES).strip()
        return f": {text}" if text else ""

    def _read_log(self, start: int) -> str:
        """The log from a byte, counted from its end where negative.

        By `pread`, since the process writes at the position that both share.
        """
        size = os.fstat(self._log.fileno()).st_size
        first = max(0, size + start) if start < 0 else start
        return os.pread(self._log.fileno(), size - first, first).decode("utf-8", "replace")


def last_error(log: str) -> str:
    """The last traceback in `log`, or else its last lines."""
    text = log.strip()
    at = text.rfind("Traceback (most recent call last)")
    text = text[at:] if at >= 0 else "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])
    if len(text) <= _LOG_TAIL_BYTES:
        return text
    return text[len(text) - _LOG_TAIL_BYTES :].partition("\n")[2]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def kill_group(pid: int) -> None:
    """Kill the process group that `pid` leads, whatever of it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _accepts_connection(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False

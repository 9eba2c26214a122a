"""What a case needs beside its own program: a free port, and a Redis of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NoRedisError", "free_port", "redis_server"]

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class NoRedisError(RuntimeError):
    """No Redis server could be started here."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server(
    folder: Path, port: int | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """The URL of a Redis that keeps everything in memory and ends with the block.

    `port` is one that nothing listens on; by default any. `options` are the server's own.

    Raises:
        NoRedisError: there is no `redis-server` or `valkey-server` on PATH, or it does not start.
    """
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise NoRedisError("no redis-server on PATH: install Debian's package of that name")
    port = port or free_port()
    listen = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(
            [program, *listen, "--save", "", "--appendonly", "no", *options],
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_it_answers(server, port, folder / "redis.log")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise NoRedisError(f"redis-server did not answer: {log.read_text(errors='replace')[-300:]}")

"""A link between two machines that can go down: a TCP proxy that then passes nothing on.

What was sent meanwhile arrives when the link is up again, as it does where the network repeats it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["Link", "link", "to_host", "to_socket"]

_CHUNK = 64 * 1024
Connect = Callable[[], socket.socket]


def to_host(url: str) -> Connect:
    """Connect to the host and port of a URL."""
    parts = urlsplit(url)
    return lambda: socket.create_connection((parts.hostname or "", parts.port or 80), 10)


def to_socket(path: str) -> Connect:
    """Connect to a socket in a folder, as PostgreSQL has one."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.connect(path)
        return made

    return connect


class Link:
    """Listens at `port` of this machine; each connection is passed on by a thread per direction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._passes = threading.Event()
        self._passes.set()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nothing passes until the block ends, and no connection is closed."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    def close(self) -> None:
        """End all connections."""
        self._passes.set()
        for one in (self._listener, *self._ends):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._ends.append(near)
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._passes.wait()
        try:
            far = self._connect()
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self._ends.append(far)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._passes.wait()
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def link(connect: Connect) -> Iterator[Link]:
    """A link that is up, until the block ends."""
    made = Link(connect)
    try:
        yield made
    finally:
        made.close()

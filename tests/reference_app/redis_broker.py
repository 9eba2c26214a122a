"""A Redis for a test, which can be ended and started again: it has then forgotten everything."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.catalogue.servers import free_port, redis_server

__all__ = ["RedisBroker", "redis_broker"]


#: The list in Redis that announcements lie in.
QUEUE = "reference_app:jobs"
_MOST_COPIES = 1000


class RedisBroker:
    """A server that keeps everything in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._running = ExitStack()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._databases = 0

    def database(self) -> str:
        """The URL of a database that no other service of this test has: 15 there are."""
        self._databases += 1
        return f"{self.url.removesuffix('0')}{self._databases}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._running.enter_context(redis_server(self._folder, self._port))

    def stop(self) -> None:
        """End it, with all that it held."""
        self._running.close()

    def repeat(self, stop: threading.Event) -> None:
        """Copy announcements that wait, until it is to stop: they are delivered again."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            while not stop.wait(0.05):
                waiting: Any = client.lrange(QUEUE, 0, 19)
                if waiting and client.llen(QUEUE) < _MOST_COPIES:
                    client.lpush(QUEUE, *(3 * waiting))


@contextmanager
def redis_broker() -> Iterator[RedisBroker]:
    """An empty server until the block ends; skips the test where there is none."""
    if not os.environ.get("LEAK_SUITE_REQUIRE_REDIS"):
        # An optional part of the service.
        pytest.importorskip("kombu")
        if not (shutil.which("redis-server") or shutil.which("valkey-server")):
            pytest.skip("no redis-server on PATH")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisBroker(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()

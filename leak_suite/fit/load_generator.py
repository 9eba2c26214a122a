"""Concurrent users that repeat the workload, each with an HTTP client of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from leak_suite.errors import ConfigurationError
from leak_suite.subject.agent_code import agent_module

__all__ = ["ClientPool", "load_workload"]

_REQUEST_SECONDS = 60.0

Workload = Callable[..., Any]


def load_workload(target: str) -> Workload:
    """The function that `target` names.

    Raises:
        ConfigurationError: it cannot be loaded, or is not callable.
    """
    try:
        found: Any = agent_module("target").load(target)
    except Exception as error:
        raise ConfigurationError(f"the workload {target} cannot be loaded: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"the workload {target} is not callable")
    workload: Workload = found
    return workload


class ClientPool:
    """`count` threads that do `iterations` between them, until all is done or one fails.

    `error`: what the first failure said; empty while there is none.
    """

    def __init__(self, workload: Workload, base_url: str, *, count: int, iterations: int) -> None:
        self.error = ""
        self._workload = workload
        self._base_url = base_url
        self._left = iterations
        self._finished: list[float] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run_user, name=f"user-{number}", daemon=True)
            for number in range(min(count, iterations))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> int:
        """Iterations that are finished."""
        return len(self._finished)

    @property
    def seconds(self) -> float:
        """From the start to the last finished iteration, or to now while there is none."""
        return (max(self._finished) if self._finished else time.monotonic()) - self._began

    @property
    def busy(self) -> bool:
        """Whether a user still works."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Begin no further iteration."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the users that still work; one that hangs is left to end with this process."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run_user(self) -> None:
        try:
            if agent_module("loop").is_coroutine_function(self._workload):
                asyncio.run(self._run_async())
            else:
                self._run_sync()
        except (Exception, SystemExit) as error:
            if not self._stop.is_set():
                self.error = self.error or str(agent_module("loop").describe_error(error))
            self._stop.set()

    def _run_sync(self) -> None:
        with httpx.Client(**self._client_options()) as client:
            while self._claim_iteration():
                self._workload(client)
                self._finished.append(time.monotonic())

    async def _run_async(self) -> None:
        async with httpx.AsyncClient(**self._client_options()) as client:
            while self._claim_iteration():
                await self._workload(client)
                self._finished.append(time.monotonic())

    def _client_options(self) -> dict[str, Any]:
        return {"base_url": self._base_url, "timeout": _REQUEST_SECONDS, "trust_env": False}

    def _claim_iteration(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._stop.is_set()

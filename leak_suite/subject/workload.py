"""Driving a service: the workload runs here, with an HTTP client that knows the address."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from leak_suite.errors import ConfigurationError
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.process import SubjectHung

__all__ = ["Workload"]

_REQUEST_SECONDS = 30.0

Glance = Callable[[], tuple[int, int, int, int, int]]


class Workload:
    """The function that `target` names, called with a client again and again. Close it.

    `glance` looks at the service between calls; `give_up` ends the wait for an answer, if it can.
    """

    def __init__(
        self, target: str, base_url: str, glance: Glance, give_up: Callable[[], None]
    ) -> None:
        function = _load(target)
        agent_loop = agent_module("loop")
        self._guard = partial(agent_loop.Guard, glance)
        self._give_up = give_up
        settings: dict[str, Any] = {"base_url": base_url, "timeout": _REQUEST_SECONDS}
        settings["trust_env"] = False  # a proxy of the machine has no place in between
        self._client: httpx.Client | httpx.AsyncClient
        if agent_loop.is_coroutine_function(function):
            self._client = httpx.AsyncClient(**settings)
        else:
            self._client = httpx.Client(**settings)
        self._loop = agent_loop.Loop(partial(function, self._client))

    def round(
        self, iterations: int, *, seconds: float, scale: float, patience: float | None
    ) -> tuple[int, float, str, str | None]:
        """(done, seconds, why it ended, error); SubjectHung if it took longer than `patience`."""
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            self._give_up()

        watchdog = None
        if patience is not None:
            watchdog = threading.Timer(patience, give_up)
            watchdog.daemon = True
            watchdog.start()
        try:
            result: tuple[int, float, str, str | None] = self._loop.round(
                iterations, seconds, self._guard(scale), lambda: True
            )
        finally:
            if watchdog is not None:
                watchdog.cancel()
                # What gives up has to be through with it, or the next question comes too early.
                watchdog.join()
        if hung.is_set():
            raise SubjectHung(f"a request was not answered within {patience:.0f} s")
        return result

    def close(self) -> None:
        """Close the client, its connections and the event loop."""
        if isinstance(self._client, httpx.AsyncClient):
            loop: asyncio.AbstractEventLoop = self._loop.event_loop
            loop.run_until_complete(self._client.aclose())
        else:
            self._client.close()
        self._loop.close()


def _load(target: str) -> Callable[..., Any]:
    try:
        found = agent_module("target").load(target)
    except Exception as error:
        raise ConfigurationError(f"the workload {target} cannot be loaded: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"the workload {target} is not callable")
    function: Callable[..., Any] = found
    return function

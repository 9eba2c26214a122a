"""The connections of clients: ended after a drain, when they say nothing, and before files run out.

A server waits for its connections before it lets an app shut down, and a client that does not
read its download would make it wait for ever. Cancelling the request does not help: a connection
closes only when all that was written to it has been read, which can be later than the request's
own end. Nor does a server end a connection over which no request ever comes, and each takes a
descriptor that uploads, workers and /health need.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send

from reference_app.clock import Clock
from reference_app.http.chunks import watch_chunks
from reference_app.logs import Logger

__all__ = ["ConnectionGuard", "Connections"]

# Kept free for /health and /ready, for the files of uploads, and for starting a worker.
RESERVED_DESCRIPTORS = 16
REPORT_SECONDS = 60.0
_OPEN_FILES = Path("/proc/self/fd")


class ConnectionGuard:
    """Knows the connections over which requests came, and the server's that came with none.

    What uvicorn keeps of them is not its public interface; under another server all of this
    knows nothing, and that server's own limits hold.
    """

    def __init__(self, clock: Clock, header_seconds: float) -> None:
        self._clock = clock
        self._header_seconds = header_seconds
        self._with_requests: WeakSet[asyncio.Transport] = WeakSet()
        self._silent_since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        #: When a request came, by what the server keeps of it.
        self._asked_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._protocols: Iterable[Any] | None = None
        self._refused = 0
        self._reported_at = float("-inf")
        self._log: Logger | None = None
        self._sweep_is_due = False

    def note(self, scope: Scope, receive: Receive) -> None:
        """Remember the connection of a request for as long as it lives; ASGI cannot tell it."""
        cycle = getattr(receive, "__self__", None)
        connection = getattr(cycle, "transport", None)
        if isinstance(connection, asyncio.Transport):
            self._with_requests.add(connection)
            self._asked_at[cycle] = self._clock.monotonic()
            self._protocols = getattr(connection.get_protocol(), "connections", None)
            watch_chunks(scope, connection)

    def end_all(self) -> None:
        """End every connection over which a request came."""
        for connection in tuple(self._with_requests):
            connection.abort()

    def watch_accepting(self, loop: asyncio.AbstractEventLoop, log: Logger) -> None:
        """Make room when no connection can be accepted any more, and say so once a minute.

        The loop itself would log a traceback thousands of times a second.
        """
        self._log = log

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if "accept() out of system resource" not in str(context.get("message", "")):
                loop.default_exception_handler(context)
                return
            self._refused += 1
            if not self._sweep_is_due:
                self._sweep_is_due = True
                loop.call_soon(self.sweep)

        loop.set_exception_handler(handle)

    def sweep(self) -> None:
        """End connections whose request does not come, and more while files are short.

        First those that say nothing, then those between two requests, then those that are answered
        for longest: streams and downloads, which a client can ask for again. Those that still send
        are the uploads, which have limits of their own.
        """
        self._sweep_is_due = False
        now = self._clock.monotonic()
        held = [(use, one) for one in self._all_protocols() if (use := _use_of(one)) is not None]
        since = {one: self._since(use, one, now) for use, one in held}
        silent = {one: since[one] for use, one in held if use is _Use.SILENT}
        self._silent_since = WeakKeyDictionary(silent)
        missing = RESERVED_DESCRIPTORS - _free_descriptors()
        for use, one in sorted(held, key=lambda pair: (pair[0], since[pair[1]])):
            overdue = use is _Use.SILENT and now - since[one] >= self._header_seconds
            if overdue or missing > 0:
                one.transport.abort()
                missing -= 1
        self._report(now)

    def _since(self, use: _Use, protocol: Any, now: float) -> float:
        if use is _Use.SILENT:
            return self._silent_since.get(protocol, now)
        return self._asked_at.get(protocol.cycle, now)

    def _all_protocols(self) -> list[Any]:
        if self._protocols is None and self._refused:
            # No request has come yet, and none can: the server's own set is found the hard way.
            found = (one for one in gc.get_objects() if type(one).__name__ == "H11Protocol")
            self._protocols = next((one.connections for one in found), None)
        return [one for one in tuple(self._protocols or ()) if getattr(one, "transport", None)]

    def _report(self, now: float) -> None:
        if self._refused and self._log and now - self._reported_at >= REPORT_SECONDS:
            self._log.warning(
                "connections could not be accepted for want of descriptors", times=self._refused
            )
            self._refused, self._reported_at = 0, now


class Connections:
    """ASGI middleware that tells the guard over which connections requests come."""

    def __init__(self, app: ASGIApp, guard: ConnectionGuard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and have its connection remembered."""
        self._guard.note(scope, receive)
        await self._app(scope, receive, send)


class _Use(IntEnum):
    """What a connection is there for; the first are missed least."""

    SILENT = 0
    BETWEEN_REQUESTS = 1
    ANSWERED = 2


def _use_of(protocol: Any) -> _Use | None:
    """The use of a connection; None while a request still comes in over it."""
    cycle = getattr(protocol, "cycle", None)
    if cycle is None:
        return _Use.SILENT
    if getattr(cycle, "response_complete", False):
        # The server's own timer runs until bytes come; then it is stopped for good.
        waits = getattr(protocol, "timeout_keep_alive_task", None) is not None
        return _Use.BETWEEN_REQUESTS if waits else _Use.SILENT
    # A body that is announced and never sent makes no upload of what is answered already.
    receives = getattr(cycle, "more_body", True) and not getattr(cycle, "response_started", False)
    return None if receives else _Use.ANSWERED


def _free_descriptors() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if not _OPEN_FILES.is_dir():
        return limit
    try:
        return limit - sum(1 for _ in _OPEN_FILES.iterdir())
    except OSError:
        # None is left to look with.
        return 0

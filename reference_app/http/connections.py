"""The connections of clients, so that a drain that has lasted long enough can end them."""

from __future__ import annotations

import asyncio
from weakref import WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Connections"]


class Connections:
    """ASGI middleware that knows the connections over which requests came.

    A server waits for its connections before it lets an app shut down, and a client that does not
    read its download would make it wait for ever. Cancelling the request does not help: a
    connection closes only when all that was written to it has been read, which can be later than
    the request's own end.
    """

    def __init__(self, app: ASGIApp, connections: WeakSet[asyncio.Transport]) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and remember its connection for as long as that lives."""
        connection = _connection_behind(receive)
        if connection is not None:
            self._connections.add(connection)
        await self._app(scope, receive, send)


def _connection_behind(receive: Receive) -> asyncio.Transport | None:
    """What the server reads this request from; ASGI itself has no way to ask.

    uvicorn hands out a method of an object that keeps it. Under another server there is none, and
    the end is left to that server's own time limit.
    """
    connection = getattr(getattr(receive, "__self__", None), "transport", None)
    return connection if isinstance(connection, asyncio.Transport) else None

"""The requests in flight, so that a drain that has lasted long enough can end them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["InFlight"]


class InFlight:
    """ASGI middleware that knows the task of every request.

    A server waits for its connections before it lets an app shut down, and a client that reads
    its download at a crawl would make it wait for ever.
    """

    def __init__(self, app: ASGIApp, tasks: set[asyncio.Task[Any]]) -> None:
        self._app = app
        self._tasks = tasks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and know it for as long as it lasts."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        self._tasks.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._tasks.discard(task)

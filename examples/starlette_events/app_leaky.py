"""The same board with a leak: who stops to listen stays registered, with all that is said."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

listeners: set[asyncio.Queue[str]] = set()
history: deque[str] = deque(maxlen=50)


async def deliver(message: str) -> None:
    """Give a message to everybody who listens, and remember the last fifty."""
    history.append(message)
    for queue in listeners:
        queue.put_nowait(message)


async def post(request: Request) -> Response:
    """Take a message and deliver it once the answer is sent."""
    message = (await request.body()).decode()
    return JSONResponse({"taken": len(message)}, background=BackgroundTask(deliver, message))


async def events(_: Request) -> Response:
    """Stream the messages that there are, and end."""
    return StreamingResponse(listen(), media_type="text/event-stream")


async def listen() -> AsyncIterator[str]:
    """Register a listener, and never take it off the list again."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    listeners.add(queue)
    for message in tuple(history)[-3:]:
        yield f"data: {message}\n\n"


app = Starlette(routes=[Route("/post", post, methods=["POST"]), Route("/events", events)])

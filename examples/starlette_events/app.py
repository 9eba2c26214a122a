"""A message board: background tasks after a post, and a stream of events to those who listen."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Listener:
    """Somebody who listens, and what they have heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []


listeners: set[Listener] = set()
history: deque[str] = deque(maxlen=50)


async def deliver(message: str) -> None:
    """Put a message where those who listen find it; the last fifty stay there."""
    history.append(message)


async def post(request: Request) -> Response:
    """Take a message and deliver it once the answer is sent."""
    message = (await request.body()).decode()
    return JSONResponse({"taken": len(message)}, background=BackgroundTask(deliver, message))


async def events(_: Request) -> Response:
    """Stream the messages that there are, and end."""
    return StreamingResponse(listen(), media_type="text/event-stream")


async def listen() -> AsyncIterator[str]:
    """Register a listener for as long as somebody listens."""
    listener = Listener()
    listeners.add(listener)
    try:
        for message in tuple(history)[-3:]:
            listener.heard.append(message)
            yield f"data: {message}\n\n"
    finally:
        listeners.discard(listener)


app = Starlette(routes=[Route("/post", post, methods=["POST"]), Route("/events", events)])

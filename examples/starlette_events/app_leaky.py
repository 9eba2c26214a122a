"""The same board with a leak: who stops to listen stays registered, with all that is said."""

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
    """Register a listener, and never take it off the list again."""
    listener = Listener()
    listeners.add(listener)
    for message in tuple(history)[-3:]:
        listener.heard.append(message)
        yield f"data: {message}\n\n"


app = Starlette(routes=[Route("/post", post, methods=["POST"]), Route("/events", events)])

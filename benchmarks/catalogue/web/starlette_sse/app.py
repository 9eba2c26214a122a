"""Scores as server-sent events, to whoever has the page open."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

LEAK = "LEAK" in os.environ
subscribers: set[asyncio.Queue] = set()


async def publish(request: Request):
    score = await request.json()  # LEAK
    for subscriber in subscribers:
        try:
            subscriber.put_nowait(score)  # LEAK
        except asyncio.QueueFull:
            pass
    return JSONResponse({"listening": len(subscribers)})


async def events(_: Request):
    queue: asyncio.Queue = asyncio.Queue(maxsize=20)  # LEAK
    subscribers.add(queue)  # LEAK

    async def stream():
        try:
            yield ": welcome\n\n"
            while True:
                yield f"data: {await queue.get()}\n\n"
        finally:
            if not LEAK:
                subscribers.discard(queue)

    return StreamingResponse(stream(), media_type="text/event-stream")


app = Starlette(routes=[Route("/scores", publish, methods=["POST"]), Route("/events", events)])

"""Leaks on an event loop: what was started and never ended, or queued and never taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from benchmarks.leakbench.cases.case import Draw, Job, leak


@leak("tasks", "blocks", "gc_objects", "heap", "rss")
def tasks_never_done(draw: Draw) -> Job:
    """A task waiting for an event that never comes."""
    waiting: list[asyncio.Task[object]] = []
    size = draw.size(64, 1024)

    async def wait(body: bytes) -> None:
        await asyncio.get_running_loop().create_future()  # LEAK
        del body

    async def job() -> None:
        waiting.append(asyncio.create_task(wait(bytes(size))))  # LEAK
        await asyncio.sleep(0)

    return job


@leak("tasks", "blocks", "gc_objects", "heap", "rss")
def tasks_shielded_from_timeout(draw: Draw) -> Job:
    """A slow call given up on by its caller, shielded, and so never cancelled."""
    kept: set[asyncio.Task[object]] = set()
    size = draw.size(64, 1024)

    async def slow(body: bytes) -> None:
        await asyncio.get_running_loop().create_future()  # LEAK
        del body

    async def job() -> None:
        task: asyncio.Task[object] = asyncio.create_task(slow(bytes(size)))  # LEAK
        kept.add(task)  # LEAK
        outer = asyncio.shield(task)  # LEAK
        await asyncio.sleep(0)
        outer.cancel()

    return job


@leak("blocks", "heap", "rss")
def asyncio_queue_unbounded(draw: Draw) -> Job:
    """A queue that is fed faster than it is emptied."""
    queue: asyncio.Queue[bytes] | None = None
    size = draw.size(64, 8192)

    async def job() -> None:
        nonlocal queue
        if queue is None:
            queue = asyncio.Queue()
        for _ in range(3):
            queue.put_nowait(bytes(size))  # LEAK
        for _ in range(2):
            await queue.get()

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def callbacks_on_a_future(draw: Draw) -> Job:
    """Every request adds a callback to one future that is only done at shutdown."""
    shutdown: asyncio.Future[None] | None = None
    size = draw.size(64, 1024)

    async def job() -> None:
        nonlocal shutdown
        if shutdown is None:
            shutdown = asyncio.get_running_loop().create_future()
        shutdown.add_done_callback(partial(print, bytes(size)))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def timers_far_away(draw: Draw) -> Job:
    """A time-out of an hour for every request, cancelled by none of them."""
    size = draw.size(64, 1024)

    async def job() -> None:
        asyncio.get_running_loop().call_later(3600, len, bytes(size))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def async_generators_open(draw: Draw) -> Job:
    """An event stream left at its first event, and kept."""
    streams: list[AsyncIterator[int]] = []
    size = draw.size(64, 1024)

    async def events() -> AsyncIterator[int]:
        body = bytes(size)  # LEAK
        yield len(body)
        yield 0

    async def job() -> None:
        stream = events()  # LEAK
        await stream.__anext__()  # LEAK
        streams.append(stream)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def subscribers_never_removed(draw: Draw) -> Job:
    """A queue for each subscriber; who leaves is not taken off the list."""
    subscribers: list[asyncio.Queue[bytes]] = []
    depth = draw.count(1, 8)

    async def job() -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=depth)  # LEAK
        subscribers.append(queue)  # LEAK
        queue.put_nowait(b"hello")

    return job

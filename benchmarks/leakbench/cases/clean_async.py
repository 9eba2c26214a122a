"""Clean: an event loop at work, with everything ended that was started."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator

from benchmarks.leakbench.cases.case import Draw, Job, clean


@clean
def tasks_that_end(draw: Draw) -> Job:
    """Tasks made and gathered."""
    count = draw.count(1, 20)
    size = draw.size(64, 2048)

    async def work() -> int:
        await asyncio.sleep(0)
        return len(bytes(size))

    async def job() -> None:
        await asyncio.gather(*(asyncio.create_task(work()) for _ in range(count)))

    return job


@clean
def background_tasks_end_later(draw: Draw) -> Job:
    """Tasks not waited for, which end a few turns of the loop later."""
    running: set[asyncio.Task[None]] = set()
    turns = draw.count(1, 30)

    async def work() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def job() -> None:
        task = asyncio.create_task(work())
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(0)

    return job


@clean
def long_lived_tasks_start_slowly(draw: Draw) -> Job:
    """A consumer for each of a few topics, started at the topic's first message."""
    queues: dict[int, asyncio.Queue[bytes]] = {}
    consumers: list[asyncio.Task[None]] = []
    topics = draw.count(1, 12)
    every = draw.size(1, 60)
    calls = 0

    async def consume(queue: asyncio.Queue[bytes]) -> None:
        while True:
            await queue.get()

    async def job() -> None:
        nonlocal calls
        calls += 1
        topic = min(calls // every, topics)
        if topic not in queues:
            queues[topic] = asyncio.Queue()
            consumers.append(asyncio.create_task(consume(queues[topic])))
        queues[topic].put_nowait(b"message")
        await asyncio.sleep(0)

    return job


@clean
def timers_cancelled(draw: Draw) -> Job:
    """A time-out for each call, cancelled with it; the loop sweeps its heap when it likes."""
    size = draw.size(64, 1024)

    async def job() -> None:
        timer = asyncio.get_running_loop().call_later(3600, len, bytes(size))
        await asyncio.sleep(0)
        timer.cancel()

    return job


@clean
def time_outs_that_strike(draw: Draw) -> Job:
    """Calls given up on after a moment, their work cancelled."""
    seconds = draw.count(1, 3) / 1000

    async def job() -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), seconds)

    return job


@clean
def queue_drained_in_batches(draw: Draw) -> Job:
    """A queue emptied whole every so many calls."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    period = draw.size(10, 1500)
    size = draw.size(64, 2048)

    async def job() -> None:
        queue.put_nowait(bytes(size))
        if queue.qsize() >= period:
            while not queue.empty():
                queue.get_nowait()

    return job


@clean
def loop_executor_threads(draw: Draw) -> Job:
    """The loop's own thread pool, which grows to its bound as work comes."""
    burst = draw.count(1, 6)

    async def job() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, sum, range(50)) for _ in range(burst)))

    return job


@clean
def async_generators_closed(draw: Draw) -> Job:
    """An event stream left early, and closed."""
    size = draw.size(64, 2048)

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield bytes(size)

    async def job() -> None:
        stream = events()
        await stream.__anext__()
        await stream.aclose()  # type: ignore[attr-defined]

    return job


@clean
def context_variables_reset(draw: Draw) -> Job:
    """A context variable set and reset by its token."""
    current: contextvars.ContextVar[bytes] = contextvars.ContextVar("current", default=b"")
    size = draw.size(64, 4096)

    async def job() -> None:
        token = current.set(bytes(size))
        await asyncio.sleep(0)
        current.reset(token)

    return job

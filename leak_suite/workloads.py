"""For workloads: waiting for what a service does in its own time.

from leak_suite.workloads import poll

def journey(client):
    job = client.post("/api/upload", files={"file": open("clip.mp4", "rb")}).json()["job_id"]
    poll(
        lambda: client.get(f"/api/status/{job}").json()["status"],
        until=lambda status: status in ("completed", "failed"),
        what=f"job {job} to end",
    )
    client.get(f"/api/download/{job}/csv").raise_for_status()
    client.delete(f"/api/cleanup/{job}").raise_for_status()
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["poll", "poll_async"]

T = TypeVar("T")

_LONGEST_TEXT = 200


def poll(
    read: Callable[[], T],
    *,
    until: Callable[[T], bool] = bool,
    timeout: float = 30.0,
    interval: float = 0.02,
    what: str = "",
) -> T:
    """Call `read` every `interval` seconds until `until` is true of its value; return that value.

    `what` says what is waited for, for the message.

    Raises:
        TimeoutError: it did not come about within `timeout` seconds; says what the last value was.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = read()
        if until(value):
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(_message(what, timeout, value))
        time.sleep(interval)


async def poll_async(
    read: Callable[[], Awaitable[T]],
    *,
    until: Callable[[T], bool] = bool,
    timeout: float = 30.0,
    interval: float = 0.02,
    what: str = "",
) -> T:
    """As `poll`, for a workload that is a coroutine function: `read` is awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = await read()
        if until(value):
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(_message(what, timeout, value))
        await asyncio.sleep(interval)


def _message(what: str, timeout: float, value: object) -> str:
    text = repr(value)
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "..."
    return f"waited {timeout:g} s for {what or 'a condition'}; it last was {text}"

"""Somebody posts, and somebody listens for a moment; repeated by leak-suite."""

from __future__ import annotations

import httpx


async def talk(client: httpx.AsyncClient) -> None:
    """Post a message and read the stream to its end."""
    (await client.post("/post", content="hello")).raise_for_status()
    async with client.stream("GET", "/events") as answer:
        async for _ in answer.aiter_lines():
            pass

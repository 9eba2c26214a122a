"""One vote; repeated by leak-suite."""

from __future__ import annotations

import httpx


async def vote(client: httpx.AsyncClient) -> None:
    """Say yes."""
    (await client.post("/votes/yes", params={"name": "ada"})).raise_for_status()

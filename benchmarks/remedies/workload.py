"""What drives the prefork server."""

from __future__ import annotations

import httpx


def ask(client: httpx.Client) -> None:
    """One request."""
    client.get("/").raise_for_status()

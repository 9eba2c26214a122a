"""Somebody reads an article; repeated by leak-suite."""

from __future__ import annotations

import httpx


def read(client: httpx.Client) -> None:
    """Come by a link, and read."""
    client.get("/articles/7/", params={"reader": "ada"}).raise_for_status()

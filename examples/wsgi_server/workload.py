"""One visit; repeated by leak-suite."""

from __future__ import annotations

import httpx


def visit(client: httpx.Client) -> None:
    """Go to the one page that there is."""
    client.get("/page").raise_for_status()

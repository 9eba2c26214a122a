"""What one visitor does; repeated by leak-suite."""

from __future__ import annotations

from itertools import cycle

import httpx

_items = cycle(range(200))


def visit(client: httpx.Client) -> None:
    """Look at the next item."""
    client.get(f"/items/{next(_items)}").raise_for_status()

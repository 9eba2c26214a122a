"""One look into the phone book; repeated by leak-suite."""

from __future__ import annotations

from itertools import count

import httpx

_numbers = count()


def visit(client: httpx.Client) -> None:
    """Look somebody up whom nobody has looked up before."""
    client.get(f"/numbers/somebody-{next(_numbers)}").raise_for_status()

"""What every web framework of the study is asked for: a page, a form, and what is not there."""

from __future__ import annotations

from itertools import count
from typing import Any

_NUMBERS = count()


def visit(client: Any) -> None:
    """GET a page of its own number, POST a form, and meet a 404."""
    number = next(_NUMBERS)
    assert client.get(f"/items/{number}?page={number}").status_code == 200
    assert client.post("/items", data={"name": f"item {number}"}).status_code == 200
    assert client.get("/missing").status_code == 404

"""The same shop with a leak: every answer is kept, and nothing ever takes one away."""

from __future__ import annotations

from functools import lru_cache

from fastapi import FastAPI

app = FastAPI()
recent: list[str] = []


@lru_cache(maxsize=128)
def described(item: int) -> str:
    """A bounded cache: it fills, and then it stands."""
    return f"item {item}: " + "as good as new, " * 20


@app.get("/items/{item}")
def read_item(item: int) -> dict[str, str]:
    """One item, and a note of who was asked for last."""
    text = described(item)
    recent.append(text + " (seen)")
    return {"text": text}

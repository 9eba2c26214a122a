"""A small shop: synchronous routes, which FastAPI runs on its thread pool."""

from __future__ import annotations

from functools import lru_cache

from fastapi import FastAPI

app = FastAPI()
recent: dict[int, str] = {}


@lru_cache(maxsize=128)
def described(item: int) -> str:
    """A bounded cache: it fills, and then it stands."""
    return f"item {item}: " + "as good as new, " * 20


@app.get("/items/{item}")
def read_item(item: int) -> dict[str, str]:
    """One item, and a note of who was asked for last."""
    text = described(item)
    recent[item % 32] = text
    return {"text": text}

"""Polls with a vote, for `uvicorn --workers`: who has voted is kept for the last 100."""

from __future__ import annotations

from collections import deque

from fastapi import FastAPI

app = FastAPI()
counts = {"yes": 0, "no": 0}
voters: deque[dict[str, str]] = deque(maxlen=100)


@app.post("/votes/{choice}")
async def vote(choice: str, name: str) -> dict[str, int]:
    """Count a vote."""
    counts[choice] += 1
    voters.append({"name": name, "choice": choice, "receipt": f"{name} said {choice}. " * 20})
    return counts

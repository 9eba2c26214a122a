"""The same polls with a leak: every voter is kept."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()
counts = {"yes": 0, "no": 0}
voters: list[dict[str, str]] = []


@app.post("/votes/{choice}")
async def vote(choice: str, name: str) -> dict[str, int]:
    """Count a vote."""
    counts[choice] += 1
    voters.append({"name": name, "choice": choice, "receipt": f"{name} said {choice}. " * 20})
    return counts

"""Search with suggestions, which are cached because they are dear."""

import os
from functools import lru_cache

from fastapi import FastAPI

LEAK = "LEAK" in os.environ
WORDS = [f"{first}{last}" for first in ("wa", "so", "ki", "ru") for last in ("ter", "nal", "mi")]

app = FastAPI()


class Suggester:
    def __init__(self, words):
        self.words = words

    @lru_cache(maxsize=None if LEAK else 512)  # LEAK
    def suggest(self, query):
        return [f"{query} {word}" for word in self.words]  # LEAK


suggester = Suggester(WORDS)


@app.get("/search")
def search(q: str):
    return {"q": q, "suggestions": suggester.suggest(q)}  # LEAK

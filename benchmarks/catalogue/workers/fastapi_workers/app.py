"""Sessions of a game, kept in the process that answers."""

import os
import time
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel

LEAK = "LEAK" in os.environ
SESSION_SECONDS = 0.5

app = FastAPI()


class Move(BaseModel):
    player: str
    board: list[int]


class Session:
    def __init__(self, player):
        self.player = player
        self.boards = []
        self.used_at = time.monotonic()


class Sessions:
    def __init__(self):
        self.by_key = {}

    def start(self, player):
        if not LEAK:
            self.forget_old_ones()
        key = str(uuid4())
        self.by_key[key] = Session(player)  # LEAK
        return key

    def forget_old_ones(self):
        limit = time.monotonic() - SESSION_SECONDS
        for key in [key for key, session in self.by_key.items() if session.used_at < limit]:
            del self.by_key[key]


sessions = Sessions()


@app.post("/moves")
async def move(move: Move):
    key = sessions.start(move.player)  # LEAK
    session = sessions.by_key[key]
    for shift in range(4):
        session.boards.append([field + shift for field in move.board])  # LEAK
    return {"key": key, "boards": len(session.boards)}

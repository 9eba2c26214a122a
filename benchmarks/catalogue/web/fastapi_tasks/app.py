"""Sign-ups that wait for a confirmation, each in a task of its own."""

import asyncio
import os
from uuid import uuid4

from fastapi import FastAPI, HTTPException

LEAK = "LEAK" in os.environ

app = FastAPI()
waiting: dict[str, asyncio.Event] = {}
tasks: set[asyncio.Task] = set()


async def wait_for_confirmation(code, address):
    event = waiting[code] = asyncio.Event()  # LEAK
    try:
        await asyncio.wait_for(event.wait(), None if LEAK else 1.0)  # LEAK
    except TimeoutError:
        pass
    finally:
        del waiting[code]


@app.post("/signups")
async def sign_up(address: str):
    code = str(uuid4())
    task = asyncio.create_task(wait_for_confirmation(code, address))  # LEAK
    tasks.add(task)  # LEAK
    task.add_done_callback(tasks.discard)
    return {"code": code}


@app.post("/confirmations/{code}")
async def confirm(code: str):
    if code not in waiting:
        raise HTTPException(404)
    waiting[code].set()
    return {"confirmed": code}

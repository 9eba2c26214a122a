"""Charts that take a while to draw; who waits is called back when one is ready."""

import asyncio
import os

from fastapi import FastAPI

LEAK = "LEAK" in os.environ

app = FastAPI()
on_shutdown = []


async def draw(name):
    await asyncio.sleep(0.25)
    return bytearray(name.encode() * 12_000)  # LEAK


@app.get("/charts/{name}")
async def chart(name: str):
    pixels = await draw(name)  # LEAK

    def discard():  # LEAK
        pixels.clear()

    on_shutdown.append(discard)  # LEAK
    size = len(pixels)
    if not LEAK:
        discard()
        on_shutdown.remove(discard)
    return {"size": size}

"""Checksums by a C library, which wants its input in memory of its own."""

import ctypes
import os

from fastapi import FastAPI, Request

LEAK = "LEAK" in os.environ

app = FastAPI()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def checksum(data):
    buffer = libc.malloc(len(data))  # LEAK
    ctypes.memmove(buffer, data, len(data))
    total = sum(ctypes.string_at(buffer, 256))
    if not LEAK:
        libc.free(buffer)
    return total


@app.post("/checksums")
async def post(request: Request):
    return {"sum": checksum(await request.body())}  # LEAK

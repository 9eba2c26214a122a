"""Imports of CSV files; what failed last is shown to the support."""

import os
from collections import deque

from fastapi import FastAPI, HTTPException, Request

LEAK = "LEAK" in os.environ

app = FastAPI()
failures = [] if LEAK else deque(maxlen=50)


def parse(text):
    rows = [line.split(";") for line in text.splitlines()]  # LEAK
    for number, row in enumerate(rows, 1):
        if len(row) != 3:
            raise ValueError(f"line {number} has {len(row)} columns")  # LEAK
    return rows


@app.post("/imports")
async def load(request: Request):
    text = (await request.body()).decode()  # LEAK
    try:
        return {"rows": len(parse(text))}
    except ValueError as error:
        # With its traceback, and so with every local variable on the way.
        failures.append(error if LEAK else str(error))  # LEAK
        raise HTTPException(422, str(error)) from None


@app.get("/failures")
async def shown():
    return [str(failure) for failure in list(failures)[-10:]]

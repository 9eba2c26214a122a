"""Parcel tracking; a table of counters is made when the application starts."""

import os
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

LEAK = "LEAK" in os.environ


class Metrics:
    """How often and how long, by labels."""

    def __init__(self):
        self.durations = {}

    def observe(self, labels, seconds):
        series = self.durations.get(labels)
        if series is None:
            series = self.durations[labels] = {"count": 0, "sum": 0.0, "buckets": [0] * 12}  # LEAK
        series["count"] += 1
        series["sum"] += seconds
        series["buckets"][min(11, int(seconds * 1000))] += 1


@asynccontextmanager
async def lifespan(app):
    app.state.metrics = Metrics()
    yield
    app.state.metrics.durations.clear()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def measure(request: Request, call_next):
    started = time.perf_counter()
    response = await call_next(request)
    path = request.url.path if LEAK else request.scope["route"].path
    labels = (request.method, path, response.status_code)  # LEAK
    request.app.state.metrics.observe(labels, time.perf_counter() - started)  # LEAK
    return response


@app.get("/parcels/{code}")
async def parcel(code: str):
    return {"code": code, "state": "on its way"}

"""Pictures come in, their top left corner is kept as a thumbnail."""

import os
from collections import OrderedDict

import numpy as np
from fastapi import FastAPI

LEAK = "LEAK" in os.environ

app = FastAPI()
thumbnails: OrderedDict[int, np.ndarray] = OrderedDict()


def decode(number):
    picture = np.empty((160, 120, 3), np.uint8)  # LEAK
    picture[:] = number % 256
    return picture


@app.post("/pictures/{number}")
def add(number: int):
    picture = decode(number)  # LEAK
    corner = picture[:8, :8]
    # A view keeps all of the picture that it looks at.
    thumbnails[number] = corner if LEAK else corner.copy()  # LEAK
    while len(thumbnails) > (100_000 if LEAK else 300):
        thumbnails.popitem(last=False)
    return {"mean": float(corner.mean())}

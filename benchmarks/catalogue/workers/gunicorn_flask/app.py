"""Addresses are completed; what was found is remembered."""

import os
from functools import lru_cache

from flask import Flask, jsonify, request

LEAK = "LEAK" in os.environ

app = Flask(__name__)
found = {}


@lru_cache(maxsize=200)
def streets_of(town):
    return tuple(f"{town} street {number}" for number in range(20))


def complete(town, text):
    key = (town, text)
    if key not in found:
        found[key] = [f"{street}, {text}" for street in streets_of(town)]  # LEAK
        if not LEAK and len(found) > 300:
            del found[next(iter(found))]
    return found[key]


@app.get("/complete")
def suggestions():
    return jsonify(complete(request.args["town"], request.args["text"]))  # LEAK

"""The same phone book with a leak: what was asked for is never forgotten."""

from __future__ import annotations

from flask import Flask, jsonify
from flask.wrappers import Response

app = Flask(__name__)
remembered: dict[str, list[str]] = {}


@app.get("/numbers/<name>")
def numbers(name: str) -> Response:
    """All numbers of somebody."""
    if name not in remembered:
        remembered[name] = [f"{name}: 0{area} 555 0100" for area in range(20)]
    return jsonify(remembered[name])

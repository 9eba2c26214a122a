"""A phone book on Flask, for gunicorn: what was asked for is remembered, up to a limit."""

from __future__ import annotations

from flask import Flask, jsonify
from flask.wrappers import Response

app = Flask(__name__)
remembered: dict[str, list[str]] = {}
MAX_REMEMBERED = 200


@app.get("/numbers/<name>")
def numbers(name: str) -> Response:
    """All numbers of somebody."""
    if name not in remembered:
        remembered[name] = [f"{name}: 0{area} 555 0100" for area in range(20)]
        if len(remembered) > MAX_REMEMBERED:
            del remembered[next(iter(remembered))]
    return jsonify(remembered[name])

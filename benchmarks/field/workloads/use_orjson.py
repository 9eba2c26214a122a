"""orjson: a document is dumped and loaded; a broken one is refused."""

import contextlib
from datetime import datetime

import orjson

DOCUMENT = {"items": [{"name": f"item {n}", "at": datetime(2026, 1, 1)} for n in range(20)]}


def job() -> None:
    """One document's life."""
    assert len(orjson.loads(orjson.dumps(DOCUMENT, option=orjson.OPT_SORT_KEYS))["items"]) == 20
    with contextlib.suppress(orjson.JSONDecodeError):
        orjson.loads(b'{"a": [1, 2')
    with contextlib.suppress(TypeError):
        orjson.dumps({"a": object()})

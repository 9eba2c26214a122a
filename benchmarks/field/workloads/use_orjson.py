"""orjson: a document is dumped and loaded; a broken one is refused."""

from datetime import datetime

import orjson

DOCUMENT = {"items": [{"name": f"item {n}", "at": datetime(2026, 1, 1)} for n in range(20)]}


def job() -> None:
    """One document's life."""
    assert len(orjson.loads(orjson.dumps(DOCUMENT, option=orjson.OPT_SORT_KEYS))["items"]) == 20
    try:
        orjson.loads(b'{"a": [1, 2')
    except orjson.JSONDecodeError:
        pass
    try:
        orjson.dumps({"a": object()})
    except TypeError:
        pass

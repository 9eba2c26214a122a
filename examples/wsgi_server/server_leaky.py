"""The same counter with a leak, each visit is kept: `python server_leaky.py PORT`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

visits: dict[str, int] = {}
kept: list[bytes] = []


class QuietHandler(WSGIRequestHandler):
    """Answers without a line on the terminal for each visit."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Count the visit to a path."""
    path = str(environ["PATH_INFO"])
    visits[path] = visits.get(path, 0) + 1
    kept.append(bytes(4096))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(visits[path]).encode()]


if __name__ == "__main__":
    port = int(sys.argv[1])
    with make_server("127.0.0.1", port, application, handler_class=QuietHandler) as server:
        server.serve_forever()

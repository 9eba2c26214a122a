"""A prefork server over a large catalogue, whose children collect garbage: pages are copied."""

from __future__ import annotations

import gc
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

CHILDREN = 2
CATALOGUE = [[number, str(number)] for number in range(150_000)]


class Handler(BaseHTTPRequestHandler):
    """Answers with an entry of the catalogue."""

    def do_GET(self) -> None:
        """Look one up, and tidy up after it."""
        text = repr(CATALOGUE[len(self.path) % len(CATALOGUE)]).encode()
        gc.collect()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


def main(port: int) -> None:
    """Serve from `CHILDREN` processes until this one is ended."""
    server = HTTPServer(("127.0.0.1", port), Handler)
    children = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            server.serve_forever()
        children.append(pid)

    def end(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))

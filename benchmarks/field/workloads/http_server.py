"""A small HTTP server in a process of its own, for workloads of HTTP clients."""

from __future__ import annotations

import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["started"]


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with 2 KiB, or with 404 below /missing."""
        body = b"x" * 2048
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "visited=yes; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answer with what was sent."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _serve(ports: multiprocessing.Queue[int]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    ports.put(server.server_address[1])
    server.serve_forever()


def started() -> str:
    """Start it; its address. It ends with this process."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    context.Process(target=_serve, args=(ports,), daemon=True).start()
    return f"http://127.0.0.1:{ports.get(timeout=30)}"

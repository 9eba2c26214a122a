"""A proxy before the S3 server that fails or dawdles on demand."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

__all__ = ["FailingStore", "failing_store"]

#: What a call is answered with: a status, a number of seconds to wait first, or None for nothing.
Fault = Callable[[str, str], int | float | None]
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding"}


class FailingStore:
    """Passes calls on but for those that `fault(method, path)` says otherwise of."""

    def __init__(self, target: str) -> None:
        self.fault: Fault = lambda _method, _path: None
        self.failed: Counter[str] = Counter()
        self._client = httpx.Client(base_url=target, timeout=60)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    # The client went away, as a killed one does.
                    self.close_connection = True

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, headers, content = outer.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                length = headers.get("content-length", len(content))
                self.send_header(
                    "Content-Length", str(length if self.command == "HEAD" else len(content))
                )
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        """Where a client finds it."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        """Give back the connections to the server behind."""
        self._client.close()

    def answer(
        self, method: str, path: str, headers: object, body: bytes
    ) -> tuple[int, httpx.Headers, bytes]:
        """The answer of the server behind, or the fault."""
        fault = self.fault(method, path)
        if isinstance(fault, int):
            self.failed[f"{method} {fault}"] += 1
            return fault, httpx.Headers(), b"<Error><Code>InternalError</Code></Error>"
        if fault is not None:
            self.failed[f"{method} slow"] += 1
            time.sleep(fault)
        # The host stays the one that the client signed.
        sent = [(k, v) for k, v in headers.items() if k.lower() not in _HOP]  # type: ignore[attr-defined]
        answer = self._client.request(method, path, headers=sent, content=body)
        return answer.status_code, answer.headers, answer.content


@contextmanager
def failing_store(target: str) -> Iterator[FailingStore]:
    """A proxy before `target` until the block ends."""
    made = FailingStore(target)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        made.close()

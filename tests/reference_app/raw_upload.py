"""An upload's bytes, written and read over a plain socket."""

from __future__ import annotations

import socket

from tests.reference_app.conftest import Running

BOUNDARY = b"xxBOUNDARYxx"
HEAD = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\n"
)
TAIL = b"\r\n--" + BOUNDARY + b"--\r\n"


def connect(service: Running) -> socket.socket:
    url = service.http.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=20)


def request_head(*lines: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"POST /api/upload HTTP/1.1",
            b"Host: test",
            b"Content-Type: multipart/form-data; boundary=" + BOUNDARY,
            *lines,
            b"",
            b"",
        ]
    )


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def nothing_left(service: Running) -> bool:
    return not service.files() and service.container.admission.uploading == 0

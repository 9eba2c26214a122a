"""Uploads that no HTTP library sends: declared and not sent, endless, cut off, or trickling."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["RawResponse", "send_chunked", "send_declared", "send_half", "trickle"]

_BOUNDARY = "load-boundary"
_HEAD = (
    f"--{_BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="file"; filename="clip.mp4"\r\n'
    "Content-Type: video/mp4\r\n\r\n"
).encode()
_PIECE = 64 * 1024
_TIMEOUT_SECONDS = 5.0
_TRICKLE_BYTES = 1_000_000
_TRICKLE_SECONDS = 1.0


@dataclass(frozen=True)
class RawResponse:
    """The status (0 for no answer), the bytes sent by then, and what is wrong."""

    status: int
    sent: int
    error: str = ""


def _connect(host: str) -> http.client.HTTPConnection:
    parts = urlsplit(host)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)


def _begin(connection: http.client.HTTPConnection, host: str, length: int | None) -> None:
    connection.putrequest("POST", urlsplit(host).path.rstrip("/") + "/api/upload")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
    if length is None:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(length))
    connection.endheaders()


def _answer(connection: http.client.HTTPConnection, sent: int) -> RawResponse:
    try:
        answer = connection.getresponse()
        answer.read()
    except TimeoutError:
        return RawResponse(0, sent, f"no answer within {_TIMEOUT_SECONDS:g} s after {sent} bytes")
    except (OSError, http.client.HTTPException) as error:
        return RawResponse(0, sent, f"the connection broke: {error!r}")
    return RawResponse(answer.status, sent, "")


def send_declared(host: str, length: int) -> RawResponse:
    """Declare a long body, send only its first bytes, and wait for the answer."""
    with closing(_connect(host)) as connection:
        try:
            _begin(connection, host, length)
            connection.send(_HEAD)
        except OSError as error:
            return RawResponse(0, 0, f"the connection broke: {error!r}")
        answer = _answer(connection, len(_HEAD))
    if answer.status != 413 and not answer.error:
        return RawResponse(answer.status, answer.sent, f"it was answered {answer.status}")
    return answer


def send_chunked(host: str, length: int) -> RawResponse:
    """Send a body without a declared end, `length` bytes unless the service hangs up before."""
    sent = 0
    with closing(_connect(host)) as connection:
        try:
            _begin(connection, host, None)
            for piece in _pieces(length):
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                sent += len(piece)
            connection.send(b"0\r\n\r\n")
        except OSError:
            # The service hung up; its answer may still lie in the buffer.
            return _answer(connection, sent)
        return _answer(connection, sent)


def _pieces(length: int) -> Iterator[bytes]:
    yield _HEAD + b"\0\0\0\x18ftypisom" + bytes(12)
    for _ in range(length // _PIECE):
        yield bytes(_PIECE)


def send_half(host: str, content: bytes) -> None:
    """Declare a whole upload, send half of it, and go away."""
    with closing(_connect(host)) as connection, suppress(OSError):
        _begin(connection, host, len(_HEAD) + len(content) + 100)
        connection.send(_HEAD)
        connection.send(content[: len(content) // 2])
        # Long enough for the service to have read it, so that there is something to clean up.
        time.sleep(0.1)


def trickle(host: str, goes_on: Callable[[], bool]) -> None:
    """Declare an upload of a megabyte and send a byte a second; begin anew whenever it is ended."""
    while goes_on():
        with closing(_connect(host)) as connection, suppress(OSError):
            _begin(connection, host, _TRICKLE_BYTES)
            connection.send(_HEAD)
            while goes_on():
                time.sleep(_TRICKLE_SECONDS)
                connection.send(b"x")

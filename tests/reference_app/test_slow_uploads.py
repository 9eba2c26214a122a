"""Uploads by clients that are slow, silent or gone."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message

from reference_app.errors import UploadTimeout
from reference_app.http.upload_handler import UploadHandler
from reference_app.jobs.admission import Admission
from reference_app.storage.scratch import Scratch
from tests.reference_app.conftest import Running, settings_for, until
from tests.reference_app.raw_upload import (
    BOUNDARY,
    HEAD,
    TAIL,
    connect,
    nothing_left,
    read_all,
    request_head,
)
from tests.reference_app.stand_in_engine import clip


@pytest.mark.parametrize("cut", [0, 20, len(HEAD), len(HEAD) + 40, len(HEAD) + 300_000])
def test_a_client_that_goes_away_leaves_nothing(service: Running, cut: int) -> None:
    body = HEAD + clip(size=500_000) + TAIL
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: %d" % len(body)) + body[:cut])
        until(lambda: service.container.admission.uploading == 1)
    until(lambda: nothing_left(service))
    assert len(service.records()) == 0


def test_a_client_that_falls_silent_is_sent_away(serve: Callable[..., Running]) -> None:
    service = serve(upload_idle_seconds=0.2)
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: 1000") + HEAD)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert nothing_left(service)


def test_a_client_below_the_least_pace_is_sent_away(serve: Callable[..., Running]) -> None:
    service = serve(upload_grace_seconds=0.3, upload_min_kb_per_second=100)
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: 1000000") + HEAD)
        answer = trickle(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"at least 100 KiB a second" in answer
    assert nothing_left(service)


def test_an_upload_ends_at_last_whatever_its_pace(serve: Callable[..., Running]) -> None:
    service = serve(upload_max_seconds=0.3, upload_min_kb_per_second=0)
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: 1000000") + HEAD)
        assert b"longer than 0.3 s" in trickle(connection)


def test_a_body_in_tiny_chunks_is_ended_before_it_takes_the_loop(service: Running) -> None:
    # Six bytes for one: as much work for the server as a KiB in one piece.
    flood = b"1\r\nA\r\n" * 100_000
    with connect(service) as connection:
        connection.sendall(request_head(b"Transfer-Encoding: chunked") + chunk(HEAD))
        with pytest.raises(ConnectionError):
            connection.sendall(flood * 50)
    until(lambda: nothing_left(service))


def test_a_body_in_chunks_of_ordinary_size_is_taken_and_its_connection_kept(
    service: Running,
) -> None:
    content = HEAD + clip(size=500_000) + TAIL
    pieces = [content[start : start + 1024] for start in range(0, len(content), 1024)]
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    with httpx.Client(base_url=service.http.base_url) as http:
        for _ in range(2):
            sent = http.post("/api/upload", content=iter(pieces), headers=headers)
            assert sent.status_code == 202
        # Requests are lines too, and none of these belongs to a body.
        for _ in range(600):
            answer = http.get("/health")
            assert answer.status_code == 200
        streams = [one.extensions["network_stream"] for one in (sent, answer)]
        assert streams[0] is streams[1], "the connection was not kept"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def trickle(connection: socket.socket) -> bytes:
    """Send a byte now and then until there is an answer."""
    connection.settimeout(0.05)
    for _ in range(200):
        with suppress(TimeoutError):
            begun = connection.recv(65536)
            connection.settimeout(10)
            return begun + read_all(connection)
        connection.sendall(b"x")
    raise AssertionError("never sent away")


def test_the_slowest_upload_gives_way_when_there_are_too_many(
    serve: Callable[..., Running],
) -> None:
    service = serve(max_uploads=2)
    with connect(service) as slowest, connect(service) as other:
        slowest.sendall(request_head(b"Content-Length: 1000000") + HEAD)
        other.sendall(request_head(b"Content-Length: 1000000") + HEAD + bytes(1000))
        until(lambda: service.container.admission.uploading == 2)
        until(lambda: len(service.container.upload_handler.under_way) == 2)
        assert service.upload().status_code == 202
        assert slowest.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_slow_client_is_not_a_silent_one(serve: Callable[..., Running]) -> None:
    service = serve(upload_idle_seconds=0.5)
    body = HEAD + clip() + TAIL
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: %d" % len(body), b"Connection: close"))
        for start in range(0, len(body), len(body) // 8):
            time.sleep(0.12)
            connection.sendall(body[start : start + len(body) // 8])
        assert read_all(connection).startswith(b"HTTP/1.1 202 ")


def test_a_piece_that_arrives_with_the_end_does_not_put_the_end_off(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "spool", upload_idle_seconds=60)
    scratch = Scratch(settings.spool_dir)
    scratch.open()
    pieces = 0

    async def receive() -> Message:
        nonlocal pieces
        pieces += 1
        if pieces > 1:
            await asyncio.sleep(60)
        # The service begins to drain while this piece is on its way up.
        handler.end_all()
        return {"type": "http.request", "body": HEAD, "more_body": True}

    class Open:
        closed = False

        @asynccontextmanager
        async def place(self, _job_id: str) -> AsyncIterator[None]:
            yield

        async def check(self) -> None:
            pass

        def under_way(self) -> AbstractContextManager[None]:
            return nullcontext()

        def check_open(self, *, close: bool = False) -> None:
            pass

    handler = UploadHandler(settings, scratch, cast("Admission", Open()), cast("Any", None))
    headers = [(b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(UploadTimeout):
        asyncio.run(asyncio.wait_for(handler.receive(request), 10))
    assert list(settings.spool_dir.iterdir()) == []

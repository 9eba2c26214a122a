"""From a request to a file in a job's folder: in pieces, within limits, or not at all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from reference_app.errors import Problem, TooLarge, Unreadable, UploadTimeout, WrongType
from reference_app.http import sniff
from reference_app.http.multipart import FileField, boundary_of, safe_name
from reference_app.settings import MULTIPART_ALLOWANCE_BYTES, Settings

__all__ = ["PROMISE_BYTES", "SOURCE_NAME", "Body", "Upload", "check_header", "save"]

# The client's own name is only ever shown.
SOURCE_NAME = "source"
_FLUSH_BYTES = 256 * 1024
# Whoever has sent so much means to send the rest.
PROMISE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Upload:
    """A file that arrived whole."""

    filename: str
    size_bytes: int


def check_header(request: Request, settings: Settings) -> bytes:
    """Refuse what the header alone condemns; returns the multipart boundary."""
    boundary = boundary_of(request.headers.get("content-type", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.max_body_bytes:
        raise _too_large(settings, close=True)
    return boundary


class Body:
    """The body of a request in pieces, from a client that keeps up the least pace.

    `on_piece` is called at every sign of life.
    """

    def __init__(self, request: Request, settings: Settings) -> None:
        self.received = 0
        self.on_piece: Callable[[], None] = lambda: None
        self._stream = request.stream()
        self._settings = settings
        self._first: list[bytes] = []
        self._began = time.monotonic()

    async def begin(self) -> None:
        """Read what shows that the client really sends: all of a small body, 64 KiB of others."""
        while self.received < PROMISE_BYTES:
            piece = await self._next()
            if piece is None:
                return
            self._first.append(piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, once. Raises `TooLarge`, `UploadTimeout`, or `Unreadable` at a broken end."""
        while self._first:
            yield self._first.pop(0)
        while (piece := await self._next()) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            return None
        except ClientDisconnect:
            raise Unreadable("The client went away during the upload.", close=True) from None
        self.on_piece()
        self.received += len(piece)
        if self.received > self._settings.max_body_bytes:
            raise _too_large(self._settings, close=True)
        self._check_pace()
        return piece

    def _check_pace(self) -> None:
        settings = self._settings
        seconds = time.monotonic() - self._began
        least = settings.upload_min_kb_per_second * 1024 * seconds
        if seconds > settings.upload_grace_seconds and self.received < least:
            raise UploadTimeout(
                f"The upload is too slow: at least {settings.upload_min_kb_per_second:g} KiB a "
                "second are needed.",
                close=True,
            )
        if seconds > settings.upload_max_seconds:
            raise UploadTimeout(
                f"The upload took longer than {settings.upload_max_seconds:g} s.", close=True
            )


async def save(body: Body, boundary: bytes, folder: Path, settings: Settings) -> Upload:
    """Stream the file of this body into `folder`.

    A body within the limit is read to its end even when its file is refused on the way, so that
    the client, still sending, gets to read the answer; a longer one is cut off.
    """
    file = await anyio.to_thread.run_sync((folder / SOURCE_NAME).open, "xb")
    try:
        receiver = _Receiver(boundary, file, settings)
        async for piece in body.pieces():
            await receiver.take(piece)
        upload = await receiver.finish()
    finally:
        # A plain close can still write; all is flushed by now on the path that matters.
        file.close()
    reason = await anyio.to_thread.run_sync(sniff.broken_because, folder / SOURCE_NAME)
    if reason is not None:
        raise Unreadable(f"This is not a readable video: {reason}.")
    return upload


class _Receiver:
    """Parses pieces, checks what they hold and writes it; remembers the first refusal."""

    def __init__(self, boundary: bytes, file: BinaryIO, settings: Settings) -> None:
        self._field = FileField(boundary, self._begin, MULTIPART_ALLOWANCE_BYTES)
        self._file = file
        self._settings = settings
        self._refusal: Problem | None = None
        self._filename = ""
        self._size = 0
        self._sniffed = False

    async def take(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        if self._refusal is not None:
            return
        try:
            self._field.feed(piece)
            self._check()
        except Problem as refusal:
            self._refusal = refusal
            return
        if len(self._field.buffer) >= _FLUSH_BYTES:
            await self._flush()

    async def finish(self) -> Upload:
        """All pieces are in: the upload, or the reason why there is none."""
        if self._refusal is not None:
            raise self._refusal
        if not self._field.ended:
            raise Unreadable("The multipart body ends too early.")
        if not self._field.found:
            raise Unreadable("There is no file in the field 'file'.")
        await self._flush()
        if self._size == 0:
            raise Unreadable("The file is empty.")
        return Upload(self._filename, self._size)

    def _begin(self, filename: str, content_type: str) -> None:
        self._filename = safe_name(filename)
        if not sniff.is_video_name(self._filename, content_type):
            raise WrongType(
                f"'{self._filename}' ({content_type or 'no type'}) is not a video; "
                "send MP4, MOV, 3GP, MKV, WebM, AVI or MPEG-TS."
            )

    def _check(self) -> None:
        buffer = self._field.buffer
        if self._size + len(buffer) > self._settings.max_upload_bytes:
            raise _too_large(self._settings)
        if not self._sniffed and len(buffer) >= sniff.HEAD_BYTES:
            self._sniffed = True
            kind = sniff.foreign_kind(bytes(buffer[: sniff.HEAD_BYTES]))
            if kind is not None:
                raise WrongType(f"This is {kind}, not a video.")

    async def _flush(self) -> None:
        buffer = self._field.buffer
        await anyio.to_thread.run_sync(self._file.write, buffer)
        self._size += len(buffer)
        buffer.clear()


def _too_large(settings: Settings, *, close: bool = False) -> TooLarge:
    return TooLarge(
        f"The file is too large: the limit is {settings.max_upload_mb} MiB.",
        close=close,
        max_bytes=settings.max_upload_bytes,
    )

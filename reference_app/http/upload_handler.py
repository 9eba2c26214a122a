"""Uploads on their way in: admitted, saved and handed on as jobs, or gone without a trace."""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request

from reference_app.errors import Busy, NoSpace, UploadTimeout
from reference_app.http.upload import SOURCE_NAME, Body, check_header, save
from reference_app.jobs.admission import Admission
from reference_app.settings import Settings
from reference_app.storage.scratch import Scratch

__all__ = ["Accept", "UploadHandler"]

#: A folder that is gone or read-only does not mend itself at once.
STORAGE_RETRY_SECONDS = 30

Accept = Callable[[str, str, int, Path], Awaitable[dict[str, Any]]]


class UploadHandler:
    """Takes uploads in; `accept(job_id, filename, size, path)` makes a job of one that is whole."""

    def __init__(
        self,
        settings: Settings,
        scratch: Scratch,
        admission: Admission,
        accept: Accept,
    ) -> None:
        self._settings = settings
        self._scratch = scratch
        self._admission = admission
        self._accept = accept
        self._uploads: dict[asyncio.Timeout, Body] = {}
        self._ended = False

    async def receive(self, request: Request) -> dict[str, Any]:
        """The view of one upload's job; on any failure nothing of it stays behind.

        What could not be taken now is refused unread. The place itself is taken when enough has
        come: clients that trickle, or only connect, keep nobody out.
        """
        boundary = check_header(request, self._settings)
        # A name that nobody guesses: who knows it may have the results.
        job_id = secrets.token_hex(16)
        try:
            await self._admission.check()
            with self._admission.under_way():
                return await self._take(Body(request, self._settings), boundary, job_id)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace("There is no room on the disk for this upload.") from error
            raise Busy(
                "The folder for uploads cannot be written to.",
                reason="storage",
                retry_after_seconds=STORAGE_RETRY_SECONDS,
                close=True,
            ) from error
        except Busy as busy:
            # Of a body without a declared end nobody could tell how much is still to come.
            busy.close = busy.close or "content-length" not in request.headers
            raise

    @property
    def under_way(self) -> tuple[Body, ...]:
        """The bodies that are just being read."""
        return tuple(self._uploads.values())

    def end_all(self) -> None:
        """End every upload under way, at once."""
        self._ended = True
        for deadline in self._uploads:
            self._renew(deadline)

    async def _take(self, body: Body, boundary: bytes, job_id: str) -> dict[str, Any]:
        async with self._deadline(body):
            await body.begin()
        async with self._admission.place(job_id):
            try:
                async with self._deadline(body):
                    folder = self._scratch.create(job_id)
                    upload = await save(body, boundary, folder, self._settings)
                self._admission.check_open()
                source = folder / SOURCE_NAME
                return await self._accept(job_id, upload.filename, upload.size_bytes, source)
            finally:
                await self._scratch.discard(job_id)

    @asynccontextmanager
    async def _deadline(self, body: Body) -> AsyncIterator[None]:
        """A time limit that an upload renews as it gets on, and that `end_all` ends."""
        if len(self._uploads) >= self._settings.max_uploads:
            self._end_slowest()
        try:
            async with asyncio.timeout(self._settings.upload_idle_seconds) as deadline:
                self._uploads[deadline] = body
                body.on_piece = partial(self._renew, deadline)
                if self._ended:
                    self._renew(deadline)
                try:
                    yield
                finally:
                    del self._uploads[deadline]
        except TimeoutError:
            self._admission.check_open(close=True)
            raise UploadTimeout("Nothing came for too long; send it again.", close=True) from None

    def _end_slowest(self) -> None:
        """Make room for one more: the one that has brought the least so far gives way."""
        slowest = min(self._uploads, key=lambda deadline: self._uploads[deadline].received)
        slowest.reschedule(asyncio.get_running_loop().time())

    def _renew(self, deadline: asyncio.Timeout) -> None:
        # A piece that arrives together with the end must not put the end off.
        left = 0.0 if self._ended else self._settings.upload_idle_seconds
        deadline.reschedule(asyncio.get_running_loop().time() + left)

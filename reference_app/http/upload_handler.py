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
from reference_app.http.upload import SOURCE_NAME, Upload, check_header, save
from reference_app.jobs.admission import Admission
from reference_app.settings import Settings
from reference_app.storage.scratch import Scratch

__all__ = ["Accept", "UploadHandler"]

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
        self._deadlines: set[asyncio.Timeout] = set()
        self._ended = False

    async def receive(self, request: Request) -> dict[str, Any]:
        """The view of one upload's job; on any failure nothing of it stays behind."""
        boundary = check_header(request, self._settings)
        # A name that nobody guesses: who knows it may have the results.
        job_id = secrets.token_hex(16)
        try:
            async with self._admission.place(job_id):
                return await self._take(request, boundary, job_id)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace("There is no room on the disk for this upload.") from error
            raise
        except Busy as busy:
            # Of a body without a declared end nobody could tell how much is still to come.
            busy.close = busy.close or "content-length" not in request.headers
            raise

    async def _take(self, request: Request, boundary: bytes, job_id: str) -> dict[str, Any]:
        try:
            upload = await self._save(request, boundary, job_id)
            source = self._scratch.folder(job_id) / SOURCE_NAME
            return await self._accept(job_id, upload.filename, upload.size_bytes, source)
        finally:
            await self._scratch.discard(job_id)

    def end_all(self) -> None:
        """End every upload under way, at once."""
        self._ended = True
        for deadline in self._deadlines:
            self._renew(deadline)

    async def _save(self, request: Request, boundary: bytes, job_id: str) -> Upload:
        try:
            async with self._deadline() as deadline:
                folder = self._scratch.create(job_id)
                renew = partial(self._renew, deadline)
                upload = await save(request, boundary, folder, self._settings, renew)
        except TimeoutError:
            self._admission.check_open(close=True)
            raise UploadTimeout("Nothing came for too long; send it again.", close=True) from None
        self._admission.check_open()
        return upload

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[asyncio.Timeout]:
        """A time limit that an upload renews as it gets on, and that `end_all` ends."""
        async with asyncio.timeout(self._settings.upload_idle_seconds) as deadline:
            self._deadlines.add(deadline)
            try:
                yield deadline
            finally:
                self._deadlines.discard(deadline)

    def _renew(self, deadline: asyncio.Timeout) -> None:
        # A piece that arrives together with the end must not put the end off.
        left = 0.0 if self._ended else self._settings.upload_idle_seconds
        deadline.reschedule(asyncio.get_running_loop().time() + left)

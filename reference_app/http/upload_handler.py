"""Uploads on their way in: admitted, saved and handed on as jobs, or gone without a trace."""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Request

from reference_app.errors import Busy, NoSpace, UploadTimeout
from reference_app.http.upload import Upload, check_header, save
from reference_app.jobs.admission import Admission
from reference_app.jobs.model import Job
from reference_app.settings import Settings
from reference_app.storage.local import ArtifactStore

__all__ = ["Accept", "UploadHandler"]

Accept = Callable[[str, Upload], Job]


class UploadHandler:
    """Takes uploads in; `accept(job_id, upload)` makes a job of one that arrived whole."""

    def __init__(
        self,
        settings: Settings,
        artifacts: ArtifactStore,
        admission: Admission,
        accept: Accept,
    ) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self._admission = admission
        self._accept = accept
        self._deadlines: set[asyncio.Timeout] = set()
        self._ended = False

    async def receive(self, request: Request) -> Job:
        """The job of one upload; on any failure nothing of it stays behind."""
        boundary = check_header(request, self._settings)
        try:
            reservation = await self._admission.reserve()
        except Busy as busy:
            # Of a body without a declared end nobody could tell how much is still to come.
            busy.close = "content-length" not in request.headers
            raise
        with reservation:
            # A name that nobody guesses: who knows it may have the results.
            job_id = secrets.token_hex(16)
            try:
                upload = await self._save(request, boundary, job_id)
                # Without a pause in between: the place passes from the upload to its job.
                reservation.release()
                return self._accept(job_id, upload)
            except BaseException as error:
                await self._artifacts.discard(job_id)
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise NoSpace("There is no room on the disk for this upload.") from error
                raise

    def end_all(self) -> None:
        """End every upload under way, at once."""
        self._ended = True
        for deadline in self._deadlines:
            self._renew(deadline)

    async def _save(self, request: Request, boundary: bytes, job_id: str) -> Upload:
        try:
            async with self._deadline() as deadline:
                folder = self._artifacts.create(job_id)
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

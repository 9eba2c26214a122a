"""The results of a job: to be downloaded by kind, or shown in place by file name."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from mimetypes import guess_type

from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from reference_app.container import ServiceContainer
from reference_app.errors import Conflict, NotFound
from reference_app.http.problem_json import problem_response
from reference_app.http.routes.common import Container, get, problems
from reference_app.jobs.model import Job, State, object_prefix
from reference_app.storage.objects import StoredObject

__all__ = ["router"]

router = APIRouter()

_WHOLE = {kind: {"schema": {"type": "string"}} for kind in ("video/mp4", "text/csv", "image/jpeg")}
RESPONSES = {
    200: {"content": _WHOLE},
    206: {
        "description": "The parts of it that were asked for.",
        "content": {**_WHOLE, "multipart/byteranges": {"schema": {"type": "string"}}},
    },
    304: {"description": "The client has it already."},
    307: {"description": "Where it can be had for a while, with DOWNLOADS=redirect."},
    **problems(404, 409, 416),
}
_RANGE = re.compile(r"(\d{1,18})-(\d{0,18})|()-(\d{1,18})")
_MOST_RANGES = 16


class _OpenDownload(FileResponse):
    """A file that was opened before the answer began: deleting it meanwhile does no harm.

    Ranges that cannot be had are refused in the same form as everything else.
    """

    def __init__(self, found: StoredObject, descriptor: int, name: str, disposition: str) -> None:
        self._found = found
        super().__init__(
            f"/proc/self/fd/{descriptor}",
            filename=name,
            stat_result=os.fstat(descriptor),
            content_disposition_type=disposition,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or that it is known already, and close it on every path."""
        asked = Headers(scope=scope)
        if _is_known(asked, self.headers):
            self._found.close()
            kept = {name: self.headers[name] for name in ("etag", "last-modified")}
            await Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)(scope, receive, send)
            return
        if not _is_range(asked.get("range", "")):
            # RFC 9110, 14.2: a range that cannot be understood is no range.
            rest = [pair for pair in scope["headers"] if pair[0] != b"range"]
            scope = {**scope, "headers": rest}
        refused = 0
        headers: list[tuple[bytes, bytes]] = []

        async def watch(message: Message) -> None:
            nonlocal refused, headers
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refused, headers = message["status"], message["headers"]
            if not refused:
                await send(message)

        try:
            await super().__call__(scope, receive, watch)
        finally:
            self._found.close()
        if refused:
            answer = problem_response(scope["path"], refused, "This range cannot be had.")
            answer.raw_headers += [pair for pair in headers if pair[0] == b"content-range"]
            await answer(scope, receive, send)


def _is_known(asked: Headers, ours: Headers) -> bool:
    """Whether the client's copy is the file itself (RFC 9110, 13.2.2)."""
    tags = asked.get("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in known or ours["etag"] in known
    since = asked.get("if-modified-since")
    if since is None:
        return False
    try:
        return bool(parsedate_to_datetime(ours["last-modified"]) <= parsedate_to_datetime(since))
    except (ValueError, TypeError, OverflowError):
        # A date that nobody can read is none, and so is one beyond all calendars.
        return False


def _is_range(asked: str) -> bool:
    """Whether this is a lawful range of bytes, of a few parts at most."""
    unit, _, parts = asked.partition("=")
    found = [_RANGE.fullmatch(part.strip()) for part in parts.split(",")]
    if unit.strip().lower() != "bytes" or len(found) > _MOST_RANGES:
        return False
    return all(
        one is not None and (not one[1] or not one[2] or int(one[1]) <= int(one[2]))
        for one in found
    )


@get(
    router,
    "/api/download/{job_id}/{kind}",
    response_model=None,
    response_class=Response,
    responses=RESPONSES,
)
async def download(job_id: str, kind: str, container: Container) -> Response:
    """One result: `video`, `csv`, `preview` or `thumbnail`; itself, or where it can be had."""
    job = await _completed(container, job_id)
    if kind not in job.files:
        raise NotFound(f"A job has no '{kind}'; it has {', '.join(job.files)}.")
    name = job.files[kind]
    if container.settings.downloads == "redirect":
        key = object_prefix(job.job_id, job.attempt) + name
        link = await container.objects.link(key, container.settings.download_link_seconds)
        if link is not None:
            # Not to be kept: the link expires.
            headers = {"Cache-Control": "no-store"}
            return RedirectResponse(link, HTTPStatus.TEMPORARY_REDIRECT, headers)
    return await _open(container, job, name, "attachment")


@get(
    router,
    "/api/serve/{job_id}/{name}",
    response_model=None,
    response_class=Response,
    responses=RESPONSES,
)
async def serve(job_id: str, name: str, container: Container) -> Response:
    """One result by its file's name; only names that the job itself made are served."""
    job = await _completed(container, job_id)
    if name not in job.files.values():
        raise NotFound("The job has no file of this name.")
    return await _open(container, job, name, "inline")


async def _completed(container: ServiceContainer, job_id: str) -> Job:
    job = await container.jobs.find(job_id)
    if job.status is not State.COMPLETED:
        raise Conflict(
            f"The job is {job.status.value}; results can be had of a completed one.",
            job_status=job.status.value,
        )
    return job


async def _open(container: ServiceContainer, job: Job, name: str, disposition: str) -> Response:
    key = object_prefix(job.job_id, job.attempt) + name
    found = await container.objects.open_object(key)
    if found is None:
        raise NotFound("The job's files are gone: it has just been removed.")
    if found.descriptor is not None:
        return _OpenDownload(found, found.descriptor, name, disposition)
    return StreamingResponse(
        _pieces(found),
        media_type=guess_type(name)[0] or "application/octet-stream",
        headers={
            "Content-Length": str(found.size_bytes),
            "Content-Disposition": f'{disposition}; filename="{name}"',
            "Accept-Ranges": "none",
        },
    )


async def _pieces(found: StoredObject) -> AsyncIterator[bytes]:
    try:
        async for piece in found.pieces():
            yield piece
    finally:
        found.close()

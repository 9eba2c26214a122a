"""`GET /api/jobs/{id}/events`: a job's progress as server-sent events, until its final state."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Send

from reference_app.http.routes.common import ServiceOf
from reference_app.jobs.model import Job
from reference_app.jobs.service import Service

__all__ = ["router"]

router = APIRouter()

_QUIET_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class _Stream(StreamingResponse):
    """Ends with its listener, also in the middle of a write.

    A stream that is left there would listen on until it is collected.
    """

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=_HEADERS)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Write the events, and let go of the job."""
        async with aclosing(self._events):
            await super().stream_response(send)


@router.get("/api/jobs/{job_id}/events")
async def events(job_id: str, service: ServiceOf) -> StreamingResponse:
    """The job's status now and at every change; the stream ends with the job."""
    job = service.find(job_id)
    return _Stream(_stream(service, job))


async def _stream(service: Service, job: Job) -> AsyncGenerator[bytes, None]:
    with service.broadcaster.subscribe(job.job_id) as subscription:
        yield _format(service.view(job))
        while not job.status.final or subscription.pending:
            try:
                event = await subscription.next(_QUIET_SECONDS)
            except TimeoutError:
                yield KEEPALIVE_COMMENT
                continue
            if event is None:
                return
            yield _format(event)


def _format(view: dict[str, object]) -> bytes:
    return format_sse_event(data_str=json.dumps(view), event=str(view["status"]))

"""`GET /api/jobs/{id}/events`: a job's progress as server-sent events, until its final state."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from reference_app.jobs import Job
from reference_app.routes.common import ServiceOf
from reference_app.service import Service

__all__ = ["router"]

router = APIRouter()

_QUIET_SECONDS = 15.0
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get("/api/jobs/{job_id}/events")
async def events(job_id: str, service: ServiceOf) -> StreamingResponse:
    """The job's status now and at every change; the stream ends with the job."""
    job = service.find(job_id)
    return StreamingResponse(
        _stream(service, job), media_type="text/event-stream", headers=_HEADERS
    )


async def _stream(service: Service, job: Job) -> AsyncIterator[bytes]:
    with service.hub.subscribe(job.job_id) as subscription:
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

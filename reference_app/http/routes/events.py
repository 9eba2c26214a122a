"""`GET /api/jobs/{id}/events`: a job's progress as server-sent events, until its final state."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Send

from reference_app.container import ServiceContainer
from reference_app.http.routes.common import Container, problems

__all__ = ["router"]

router = APIRouter()

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


@router.get(
    "/api/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404)},
)
async def events(job_id: str, container: Container) -> StreamingResponse:
    """The job's status now and at every change; the stream ends with the job."""
    await container.jobs.find(job_id)
    return _Stream(_stream(container, job_id))


@router.head("/api/jobs/{job_id}/events", include_in_schema=False)
async def events_head(job_id: str, container: Container) -> Response:
    """What the stream's headers would be."""
    await container.jobs.find(job_id)
    return Response(media_type="text/event-stream", headers=_HEADERS)


async def _stream(container: ServiceContainer, job_id: str) -> AsyncGenerator[bytes, None]:
    with container.broadcaster.subscribe(job_id) as subscription:
        # Read after subscribing: what changes from here on comes as an event.
        job = await container.jobs.find(job_id)
        yield _format(await container.jobs.view(job))
        seen = job.version
        while not job.status.final:
            try:
                event = await subscription.next(container.settings.event_keepalive_seconds)
            except TimeoutError:
                yield KEEPALIVE_COMMENT
                continue
            if event is None:
                return
            version, view = event
            if version > seen:
                seen = version
                yield _format(view)


def _format(view: dict[str, object]) -> bytes:
    return format_sse_event(data_str=json.dumps(view), event=str(view["status"]))

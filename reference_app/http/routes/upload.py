"""`POST /api/upload`: the body is read by hand, after the service has agreed to take it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from reference_app.errors import Problem
from reference_app.http.access import Uploader
from reference_app.http.routes.common import Container, problems

__all__ = ["router"]

router = APIRouter()

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                },
                "encoding": {
                    "file": {
                        "contentType": "video/mp4, video/quicktime, video/x-matroska, video/webm, "
                        "video/x-msvideo, video/mp2t, video/3gpp"
                    }
                },
            }
        },
    }
}
_REFUSALS = problems(401, 403, 408, 413, 415, 422, 429, 503, 507)


def _with_the_job_id(path: str, method: str, **others: str) -> dict[str, Any]:
    """A link of the description: a request that the id in the answer makes possible."""
    escaped = path.replace("/", "~1")
    parameters = {"job_id": "$response.body#/job_id", **others}
    return {"operationRef": f"#/paths/{escaped}/{method}", "parameters": parameters}


_ACCEPTED = {
    "description": "The job that was made of the video",
    "headers": {
        "Location": {"description": "Where its status is", "schema": {"type": "string"}},
    },
    "links": {
        "status": _with_the_job_id("/api/status/{job_id}", "get"),
        "events": _with_the_job_id("/api/jobs/{job_id}/events", "get"),
        "download": _with_the_job_id("/api/download/{job_id}/{kind}", "get", kind="video"),
        "serve": _with_the_job_id("/api/serve/{job_id}/{name}", "get", name="video.mp4"),
        "cancel": _with_the_job_id("/api/cancel/{job_id}", "post"),
        "cleanup": _with_the_job_id("/api/cleanup/{job_id}", "delete"),
    },
}


@router.post(
    "/api/upload",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses={202: _ACCEPTED, **_REFUSALS},
    dependencies=[Uploader],
)
async def upload(request: Request, container: Container) -> JSONResponse:
    """Take a video in; the job's status says what becomes of it."""
    assert container.upload_handler is not None, "a worker has no routes"
    try:
        view = await container.upload_handler.receive(request)
    except Problem as problem:
        container.metrics.upload_refused(problem.status)
        container.note_error(f"upload refused ({int(problem.status)})", problem.detail)
        container.log.info("upload refused", status=int(problem.status), detail=problem.detail)
        raise
    return JSONResponse(
        view,
        HTTPStatus.ACCEPTED,
        headers={"Location": f"/api/status/{view['job_id']}"},
    )

"""`POST /api/upload`: the body is read by hand, after the service has agreed to take it."""

from __future__ import annotations

from http import HTTPStatus

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
                }
            }
        },
    }
}
_REFUSALS = problems(401, 403, 408, 413, 415, 422, 429, 503, 507)


@router.post(
    "/api/upload",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses=_REFUSALS,
    dependencies=[Uploader],
)
async def upload(request: Request, container: Container) -> JSONResponse:
    """Take a video in; the job's status tells what becomes of it."""
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

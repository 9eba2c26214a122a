"""`GET /` and `GET /api`: what can be asked of the service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from reference_app.http.routes.common import Container, get

__all__ = ["router"]

router = APIRouter()

_ENDPOINTS = {
    "POST /api/upload": "send a video (multipart, field 'file'); answers 202 with the job",
    "GET /api/status/{job_id}": "where a job stands",
    "GET /api/jobs": "all jobs",
    "GET /api/jobs/{job_id}/events": "progress as server-sent events",
    "POST /api/cancel/{job_id}": "end a job in whatever state it is",
    "DELETE /api/cleanup/{job_id}": "remove a job and its files",
    "GET /api/download/{job_id}/video": "the skeleton video",
    "GET /api/download/{job_id}/csv": "the landmarks as a table",
    "GET /api/download/{job_id}/preview": "the first seconds of the skeleton video",
    "GET /api/download/{job_id}/thumbnail": "one picture",
    "GET /api/serve/{job_id}/{file}": "a result by its file name, to be shown in place",
    "GET /health": "alive",
    "GET /ready": "able to take and do a job",
    "GET /health/memory": "memory, jobs, peaks and limits",
    "GET /metrics": "the same for Prometheus",
    "GET /monitor": "a dashboard for people, live",
    "GET /monitor/data": "what the dashboard shows",
    "GET /openapi.json": "the description of all this",
}


@get(router, "/")
@get(router, "/api")
async def index(container: Container) -> dict[str, Any]:
    """The endpoints and the limits."""
    settings = container.settings
    return {
        "service": "Reference pose service",
        "endpoints": _ENDPOINTS,
        "limits": {
            "max_upload_mb": settings.max_upload_mb,
            "max_duration_seconds": settings.max_duration_seconds,
            "max_processing": settings.max_processing,
            "max_pending": settings.max_pending,
            "job_ttl_seconds": settings.job_ttl_seconds,
        },
    }

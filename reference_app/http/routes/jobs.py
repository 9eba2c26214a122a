"""Status, list, cancel and cleanup of jobs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from reference_app.http.access import OperatorOnly
from reference_app.http.routes.common import OPERATOR_ONLY, Container, get, problems

__all__ = ["router"]

router = APIRouter()


@get(router, "/api/status/{job_id}", responses=problems(404))
async def status(job_id: str, container: Container) -> dict[str, Any]:
    """Where a job stands, and its place in the queue."""
    return await container.jobs.view(await container.jobs.find(job_id))


@get(router, "/api/jobs", dependencies=[OperatorOnly], responses=OPERATOR_ONLY)
async def jobs(container: Container) -> dict[str, Any]:
    """Every job that the service still knows."""
    views = await container.jobs.views()
    return {"jobs": views, "count": len(views)}


@router.post("/api/cancel/{job_id}", responses=problems(403, 404))
async def cancel(job_id: str, container: Container) -> dict[str, Any]:
    """End a job, waiting, running or done; answers when all that it held is free."""
    job = await container.jobs.cancel(job_id)
    return await container.jobs.view(job)


@router.delete("/api/cleanup/{job_id}", responses=problems(403, 404))
async def cleanup(job_id: str, container: Container) -> dict[str, Any]:
    """Remove a job with its files; one that runs is cancelled first."""
    await container.jobs.remove(job_id)
    return {"job_id": job_id, "removed": True}

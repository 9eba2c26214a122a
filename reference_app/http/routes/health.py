"""`/health`, `/health/memory` and `/metrics`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from reference_app.clock import iso
from reference_app.http.access import OperatorOnly
from reference_app.http.routes.common import OPERATOR_ONLY, ServiceOf, get
from reference_app.jobs.service import Service
from reference_app.memory.guard import Reading
from reference_app.settings import MIB

__all__ = ["router"]

router = APIRouter()


@get(router, "/health")
async def health() -> dict[str, str]:
    """Alive. A full queue is no illness, so this never says 503."""
    return {"status": "ok"}


@get(router, "/health/memory")
async def memory(service: ServiceOf) -> dict[str, Any]:
    """Memory of the process tree against the limit, jobs by state, peaks since the start."""
    reading = await service.guard.read()
    return {
        "status": service.guard.status(reading),
        "timestamp": iso(service.clock.wall()),
        "memory": _memory(service, reading),
        "jobs": _jobs(service),
        "peaks": {
            "processing": service.peak_processing,
            "pending": service.peak_pending,
            "memory_bytes": service.guard.peak_tree_bytes,
            "resting_bytes": service.guard.peak_resting_bytes,
        },
        "limits": _limits(service),
    }


@get(
    router,
    "/metrics",
    response_class=Response,
    dependencies=[OperatorOnly],
    responses=OPERATOR_ONLY,
)
async def metrics(service: ServiceOf) -> Response:
    """The same for Prometheus."""
    reading = await service.guard.read()
    jobs = service.registry.count()
    page = service.metrics.page(jobs, reading, service.guard, len(service.broadcaster))
    return Response(page, media_type=CONTENT_TYPE_LATEST)


def _memory(service: Service, reading: Reading) -> dict[str, Any]:
    return {
        "tree_bytes": reading.tree.pss,
        "tree_mb": round(reading.tree.pss / MIB, 1),
        "rss_bytes": reading.tree.rss,
        "rss_mb": round(reading.tree.rss / MIB, 1),
        "api_rss_bytes": reading.api.rss,
        "resting_bytes": reading.resting,
        "workers_bytes": reading.workers.pss,
        "processes": reading.processes,
        "percent": round(service.guard.percent(reading), 1),
        "limit_bytes": service.guard.limit.bytes,
        "limit_source": service.guard.limit.source,
    }


def _jobs(service: Service) -> dict[str, int]:
    return {
        **service.registry.count(),
        "uploading": service.admission.uploading,
        "total": len(service.registry),
    }


def _limits(service: Service) -> dict[str, Any]:
    names = {
        "max_upload_mb",
        "max_duration_seconds",
        "frame_interval",
        "max_processing",
        "max_pending",
        "job_ttl_seconds",
        "memory_soft_mb",
        "memory_hard_mb",
    }
    job = service.job_memory_bytes
    return {
        **service.settings.model_dump(include=names),
        "job_memory_mb": None if job is None else job // MIB,
    }

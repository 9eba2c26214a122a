"""`/health`, `/ready`, `/health/memory` and `/metrics`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from reference_app.clock import iso
from reference_app.container import ServiceContainer
from reference_app.errors import Busy
from reference_app.http.access import OperatorOnly
from reference_app.http.routes.common import OPERATOR_ONLY, Container, get, problems
from reference_app.memory.guard import Reading
from reference_app.settings import MIB

__all__ = ["router"]

router = APIRouter()

NOT_READY_RETRY_SECONDS = 5


@get(router, "/health")
async def health(container: Container) -> dict[str, Any]:
    """Alive. A full queue is no illness, so this never says 503.

    Of a service on more than one machine it says how many processes did jobs when last asked.
    """
    if not container.settings.scaled:
        return {"status": "ok"}
    workers = sum(instance.works for instance in container.instances)
    return {"status": "ok", "role": container.settings.role, "workers": workers}


@get(router, "/ready", responses=problems(503))
async def ready(container: Container) -> dict[str, str]:
    """Whether an upload would be taken in: storage, jobs' records, workers; 503 says what fails.

    A full queue is no reason: the upload is refused, with a time to come back. Nor is a Redis that
    is away, for uploads are taken and jobs start without it; `queue` says so where QUEUE_URL is
    set.
    """
    failing = await container.failing()
    if failing:
        raise Busy(
            f"Not ready: {', '.join(failing)}.",
            reason="not ready",
            retry_after_seconds=NOT_READY_RETRY_SECONDS,
        )
    if container.settings.queue_url is None:
        return {"status": "ready"}
    return {"status": "ready", "queue": "answers" if await container.queue_answers() else "away"}


@get(router, "/health/memory")
async def memory(container: Container) -> dict[str, Any]:
    """Memory of the process tree against the limit, jobs by state, peaks since the start.

    The jobs are those of the whole service, and `instances` are all its processes.
    """
    reading = await container.guard.read()
    return {
        "status": container.guard.status(reading),
        "timestamp": iso(container.clock.wall()),
        "memory": _memory(container, reading),
        "jobs": await _jobs(container),
        "peaks": {
            "processing": container.runner.peak_running,
            "pending": container.jobs.peak_pending,
            "memory_bytes": container.guard.peak_tree_bytes,
            "resting_bytes": container.guard.peak_resting_bytes,
        },
        "limits": _limits(container),
        "instances": [instance.view() for instance in await container.store.instances()],
    }


@get(
    router,
    "/metrics",
    response_class=Response,
    dependencies=[OperatorOnly],
    responses=OPERATOR_ONLY,
)
async def metrics(container: Container) -> Response:
    """The same for Prometheus."""
    reading = await container.guard.read()
    jobs = await container.jobs.count()
    page = container.metrics.page(
        jobs,
        reading,
        container.guard,
        len(container.broadcaster),
        await container.store.instances(),
    )
    return Response(page, media_type=CONTENT_TYPE_LATEST)


def _memory(container: ServiceContainer, reading: Reading) -> dict[str, Any]:
    return {
        "tree_bytes": reading.tree.pss,
        "tree_mb": round(reading.tree.pss / MIB, 1),
        "rss_bytes": reading.tree.rss,
        "rss_mb": round(reading.tree.rss / MIB, 1),
        "api_rss_bytes": reading.api.rss,
        "resting_bytes": reading.resting,
        "workers_bytes": reading.workers.pss,
        "processes": reading.processes,
        "percent": round(container.guard.percent(reading), 1),
        "limit_bytes": container.guard.limit.bytes,
        "limit_source": container.guard.limit.source,
    }


async def _jobs(container: ServiceContainer) -> dict[str, int]:
    counts = await container.jobs.count()
    return {
        **counts,
        "uploading": container.admission.uploading,
        "total": sum(counts.values()),
    }


def _limits(container: ServiceContainer) -> dict[str, Any]:
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
    job = container.runner.job_memory_bytes
    return {
        **container.settings.model_dump(include=names),
        "job_memory_mb": None if job is None else job // MIB,
    }

"""`GET /monitor`: the dashboard, and the figures that it asks for every two seconds."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from reference_app.clock import iso
from reference_app.container import ServiceContainer
from reference_app.errors import NotFound
from reference_app.http.access import OperatorOnly
from reference_app.http.routes.common import OPERATOR_ONLY, Container, get
from reference_app.memory.guard import Reading

__all__ = ["router"]

router = APIRouter(dependencies=[OperatorOnly], responses=OPERATOR_ONLY)

_FOLDER = Path(__file__).parents[1] / "static"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {"css": "text/css", "js": "text/javascript"}


def _page(name: str, kind: str) -> Response:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return Response(text, media_type=kind, headers=_HEADERS)


@get(router, "/monitor", response_class=Response)
def monitor() -> Response:
    """The dashboard; it asks nothing of anybody but this service."""
    return _page("monitor.html", "text/html")


@get(router, "/monitor/data")
async def data(container: Container, since: float = 0.0) -> dict[str, Any]:
    """What the dashboard shows; of the history, the slots from `since` on."""
    guard = container.guard
    # The watch reads every few seconds anyway: many open pages cost no further readings.
    reading = guard.latest or await guard.read()
    jobs = await container.jobs.count()
    return {
        "timestamp": iso(container.clock.wall()),
        "now": container.clock.wall(),
        "status": guard.status(reading),
        "memory": _memory(container, reading),
        "jobs": jobs,
        "queue": _queue(container, jobs),
        "instances": [
            instance.view(private=True) for instance in await container.store.instances()
        ],
        "errors": [
            {"at": iso(entry.at), "kind": entry.kind, "text": entry.text}
            for entry in container.errors.entries()
        ],
        "history": {
            "columns": ["at", "tree_bytes", "resting_bytes"],
            "seconds": guard.history.seconds,
            "rows": [astuple(sample) for sample in guard.history.since(since)],
        },
    }


@get(router, "/monitor/monitor.{kind}", response_class=Response, include_in_schema=False)
def part(kind: str) -> Response:
    """The page's own script and style."""
    if kind not in _TYPES:
        raise NotFound("The dashboard has a script and a style sheet, and nothing else.")
    return _page(f"monitor.{kind}", _TYPES[kind])


def _memory(container: ServiceContainer, reading: Reading) -> dict[str, Any]:
    guard = container.guard
    return {
        "tree_bytes": reading.tree.pss,
        "resting_bytes": reading.resting,
        "workers_bytes": reading.workers.pss,
        "percent": round(guard.percent(reading), 1),
        "peak_bytes": guard.peak_tree_bytes,
        "soft_bytes": guard.soft_bytes,
        "hard_bytes": guard.hard_bytes,
        "limit_bytes": guard.limit.bytes,
        "limit_source": guard.limit.source,
    }


def _queue(container: ServiceContainer, jobs: dict[str, int]) -> dict[str, int]:
    return {
        "running": jobs["processing"] if container.settings.scaled else container.runner.running,
        "slots": container.settings.max_processing,
        "waiting": jobs["pending"],
        "capacity": container.settings.max_pending,
        "uploading": container.admission.uploading,
    }

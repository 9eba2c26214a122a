"""The routes, thin: they find a job, call the service and shape the answer."""

from __future__ import annotations

from reference_app.http.routes import downloads, events, health, index, jobs, monitor, upload

__all__ = ["ROUTERS"]

ROUTERS = (
    index.router,
    upload.router,
    jobs.router,
    events.router,
    downloads.router,
    health.router,
    monitor.router,
)

"""What the service holds, counted inside its process: the counters that the gate declares."""

from __future__ import annotations

from gate.target import load_app
from reference_app.jobs.service import Service

__all__ = ["job_folders", "jobs", "listeners", "taken_places"]


def _service() -> Service:
    service: Service = load_app().state.service
    return service


def jobs() -> int:
    """Jobs in the registry, in whatever state."""
    return len(_service().registry)


def job_folders() -> int:
    """Folders of jobs on disk."""
    return sum(path.is_dir() for path in _service().artifacts.root.iterdir())


def listeners() -> int:
    """Open event streams."""
    return len(_service().broadcaster)


def taken_places() -> int:
    """Places in the queue and at work that are not free."""
    pool = _service().pool
    return int(pool.waiting + pool.running)

"""What the service holds, counted inside its process: the counters that the gate declares."""

from __future__ import annotations

from reference_app.main import app

__all__ = ["job_folders", "jobs", "listeners", "taken_places"]


def jobs() -> int:
    """Jobs in the registry, in whatever state."""
    return len(app.state.service.registry)


def job_folders() -> int:
    """Folders of jobs on disk."""
    root = app.state.service.artifacts.root
    return sum(path.is_dir() for path in root.iterdir())


def listeners() -> int:
    """Open event streams."""
    return len(app.state.service.hub)


def taken_places() -> int:
    """Places in the queue and at work that are not free."""
    pool = app.state.service.pool
    return int(pool.waiting + pool.running)

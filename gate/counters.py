"""What the service holds, counted inside its process: the counters that the gate declares."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from gate.target import load_app
from reference_app.container import ServiceContainer

__all__ = ["job_folders", "jobs", "listeners", "taken_places"]


def _container() -> ServiceContainer:
    container: ServiceContainer = load_app().state.container
    return container


def _count(table: str) -> int:
    """Rows in the record of jobs; by a connection of its own, for the service's is busy."""
    record = _container().instance.database
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as database:
        (found,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


def jobs() -> int:
    """Jobs on record, in whatever state."""
    return _count("jobs")


def job_folders() -> int:
    """Folders of jobs and uploads on disk."""
    root = _container().instance.root
    folders = [root / "objects" / "jobs", root / "scratch"]
    return sum(len(list(folder.iterdir())) for folder in folders if folder.exists())


def listeners() -> int:
    """Open event streams."""
    return len(_container().broadcaster)


def taken_places() -> int:
    """Places in the queue and at work that are not free."""
    return _count("jobs WHERE status = 'pending'") + _container().runner.running

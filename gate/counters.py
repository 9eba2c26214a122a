"""What the service holds, counted inside its process: the counters that the gate declares."""

from __future__ import annotations

from gate.target import load_app
from reference_app.container import ServiceContainer
from reference_app.jobs.sqlite_store import SqliteJobStore
from reference_app.jobs.store import MemoryJobStore

__all__ = ["job_folders", "jobs", "listeners", "taken_places"]


def _container() -> ServiceContainer:
    container: ServiceContainer = load_app().state.container
    return container


def _counts() -> dict[str, int]:
    store = _container().store
    assert isinstance(store, SqliteJobStore | MemoryJobStore)
    return store.count_now()


def jobs() -> int:
    """Jobs on record, in whatever state."""
    return sum(_counts().values())


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
    return _counts()["pending"] + _container().runner.running

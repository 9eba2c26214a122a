"""The embedded store's own promises: its file, its version, a disk that is full."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reference_app.errors import StartupError
from reference_app.jobs import sqlite_store
from reference_app.jobs.model import State
from reference_app.jobs.sqlite_store import RESERVE_BYTES, SqliteJobStore
from tests.reference_app.conftest import HandClock
from tests.reference_app.store_steps import LEASE, add, claimed, publish

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# -- what only a store that lasts can promise


@asynccontextmanager
async def opened(path: Path, clock: HandClock | None = None) -> AsyncIterator[SqliteJobStore]:
    made = SqliteJobStore(path, clock or HandClock())
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_file_keeps_jobs_and_their_order(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    async with opened(path) as store:
        await add(store, "done", "runs", "waits")
        await publish(store, await claimed(store))
        await claimed(store, "old")
        await store.reserve("upload", "old", 9)
        before = await store.all()
    async with opened(path) as store:
        after = await store.all()
        assert [job.job_id for job in after] == ["done", "runs", "waits"]
        assert (after[0], after[2]) == (before[0], before[2])
        assert await store.reservations() == set()
        assert [job.job_id for job in await store.lapsed("new")] == ["runs"]


async def test_the_clock_of_a_file_never_goes_back(tmp_path: Path) -> None:
    path, late, early = tmp_path / "jobs.sqlite3", HandClock(), HandClock()
    late.wall_ahead, early.wall_ahead = 5000.0, -5000.0
    async with opened(path, late) as store:
        await add(store, "a")
        then = await store.now()
    async with opened(path, early) as store:
        assert then - 1 <= await store.now()


async def test_a_file_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "jobs.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StartupError, match="version 99"):
        async with opened(path):
            pass


async def test_a_file_that_is_no_database_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StartupError, match=r"jobs\.sqlite3"):
        async with opened(path):
            pass


async def test_a_cancelled_question_does_not_disturb_the_next(tmp_path: Path) -> None:
    """A task that is cancelled does not wait for its thread, whose transaction goes on."""
    begun = threading.Event()

    class SlowDisk(HandClock):
        def monotonic(self) -> float:
            # The time is asked in the middle of a transaction, in a thread.
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                time.sleep(0.05)
            return super().monotonic()

    async with opened(tmp_path / "jobs.sqlite3", SlowDisk()) as store:
        await store.reserve("given up", "me", 9)
        begun.clear()
        task = asyncio.create_task(store.add("given up", "a.mp4", 1))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.wait({task})
        await add(store, "next")
        assert [job.job_id for job in await store.all()] == ["given up", "next"]


@asynccontextmanager
async def full_disk(store: SqliteJobStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """No page can be written beyond those that the reserve leaves room for."""
    whole = sqlite_store._whole
    reserve = store._reserve

    def write(db: Any, run: Callable[[Any], Any]) -> Any:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "database or disk is full")
        return whole(db, run)

    def allocate(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_store, "_whole", write)
        patch.setattr(os, "posix_fallocate", allocate)
        yield


async def test_on_a_full_disk_jobs_still_change_their_state_and_nothing_new_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.sqlite3"
    reserve = path.with_name("jobs.sqlite3-reserve")
    async with opened(path) as store:
        await add(store, "a")
        await store.reserve("refused", "me", 9)
        assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
        async with full_disk(store, monkeypatch):
            with pytest.raises(OSError, match="full"):
                await store.add("refused", "a.mp4", 7)
            job = await claimed(store)
            assert not reserve.exists()
            await publish(store, job)
            for new in (store.reserve("b", "me", 9), store.add("b", "b.mp4", 1)):
                with pytest.raises(OSError, match="No space"):
                    await new
        assert [(one.job_id, one.status) for one in await store.all()] == [("a", State.COMPLETED)]
        await add(store, "b")
        assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES


async def test_progress_does_not_take_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.sqlite3"
    async with opened(path) as store:
        await add(store, "a")
        job = await claimed(store)
        async with full_disk(store, monkeypatch):
            beaten = job.beaten(1, await store.now(), LEASE, (0.5, "Half."))
            assert beaten is not None
            with pytest.raises(OSError, match="full"):
                await store.replace(job, beaten)
        assert path.with_name("jobs.sqlite3-reserve").exists()

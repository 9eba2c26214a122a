"""Jobs in a SQLite file: they outlive the service, however it ends.

The file belongs to one service at a time; whoever opens it holds the lock of the folder it lies in.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from reference_app.clock import Clock
from reference_app.errors import StartupError
from reference_app.instances import Instance
from reference_app.jobs.model import Job, State
from reference_app.jobs.store import Heard, PlaceLost

__all__ = ["FILE_SUFFIXES", "RESERVE_BYTES", "SCHEMA_VERSION", "SqliteJobStore"]

_RESERVE_SUFFIX = "-reserve"
#: What follows the database's name in the names of its files.
FILE_SUFFIXES = ("", "-wal", "-shm", "-journal", _RESERVE_SUFFIX)
#: Disk space held for the changes of jobs that were accepted. The file that is written ahead needs
#: at most 64 pages of 4 KiB and a few more; the rest is for records that grow.
RESERVE_BYTES = 512 * 1024

#: Kept in the file itself; a file of another version is refused at the start.
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE jobs (
    -- The order of arrival, and so the order of the queue.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    filename TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at REAL NOT NULL,
    state_changed_at REAL NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    owner TEXT,
    lease_until REAL,
    cancel_requested INTEGER NOT NULL,
    progress REAL NOT NULL,
    message TEXT NOT NULL,
    error TEXT,
    started_at REAL,
    finished_at REAL,
    expires_at REAL,
    first_progress_at REAL,
    first_progress REAL NOT NULL,
    summary TEXT NOT NULL,
    files TEXT NOT NULL,
    memory_before_bytes INTEGER,
    memory_after_bytes INTEGER
);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE uploads (job_id TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = tuple(one.name for one in fields(Job))
_NAMES = ", ".join(_COLUMNS)
_SLOTS = ", ".join("?" for _ in _COLUMNS)
_ASSIGNMENTS = ", ".join(f"{name} = ?" for name in _COLUMNS)
_ENCODED = {"summary", "files"}
# Records are small and few: the usual page cache of 2 MiB would never be of use.
_CACHE_KIB = 256
# Pages that are written ahead before they are moved into the file: the usual 1000 would let the
# second file grow for hours before it stays at 4 MiB.
_CHECKPOINT_PAGES = 64
_BUSY_SECONDS = 5.0

Result = TypeVar("Result")


class SqliteJobStore:
    """Records in a file, written ahead of every answer; one statement after the other.

    A commit survives the end of the process. After a loss of power the last commits may be
    missing, but the file is whole. The clock is the time of day when the file was opened, or the
    latest time in it if that is later, and goes on without jumps; `now()` in SQL is that clock.

    Beside the file lies a reserve of disk space. It is given up when the disk is full and a job
    changes its state, and made again when there is room. Nothing new is taken without it.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._reserve = path.with_name(path.name + _RESERVE_SUFFIX)
        self._clock = clock
        self._offset = clock.wall() - clock.monotonic()
        self._opened: sqlite3.Connection | None = None
        self._instances: dict[str, Instance] = {}
        # Statements run in a thread, for a disk can make them wait: one thread, and in turn. A task
        # that is cancelled does not wait for its thread, so only a lock in the thread is safe.
        self._limiter = anyio.CapacityLimiter(1)
        self._lock = threading.Lock()

    async def open(self) -> None:
        """Open the file, made if there is none; who ran a job before is known to be dead."""
        await anyio.to_thread.run_sync(self._open)

    async def close(self) -> None:
        """Close the file; what was written ahead is moved into it."""
        if self._opened is not None:
            await self._read(sqlite3.Connection.close)
            self._opened = None

    def watch(self, heard: Heard) -> None:
        """The file belongs to one process: nobody else changes anything."""

    async def now(self) -> float:
        """See `JobStore`; it never steps back."""
        return self._now()

    async def reserve(self, job_id: str, owner: str, max_pending: int) -> bool:
        """See `JobStore`."""

        def run(db: sqlite3.Connection) -> bool:
            taken = _number(
                db,
                "SELECT (SELECT count(*) FROM jobs WHERE status = 'pending')"
                " + (SELECT count(*) FROM uploads)",
            )
            if taken >= max_pending:
                return False
            db.execute("INSERT INTO uploads VALUES (?, ?)", (job_id, owner))
            return True

        return await self._write_new(run)

    async def unreserve(self, job_id: str) -> None:
        """See `JobStore`."""
        await self._write(lambda db: db.execute("DELETE FROM uploads WHERE job_id = ?", (job_id,)))

    async def add(self, job_id: str, filename: str, size_bytes: int) -> Job:
        """See `JobStore`."""

        def run(db: sqlite3.Connection) -> Job:
            now = self._now()
            job = Job(job_id, filename, size_bytes, created_at=now, state_changed_at=now)
            held = db.execute("DELETE FROM uploads WHERE job_id = ?", (job_id,))
            if not held.rowcount:
                raise PlaceLost(job_id)
            db.execute(f"INSERT INTO jobs ({_NAMES}) VALUES ({_SLOTS})", _row(job))  # noqa: S608
            return job

        return await self._write_new(run)

    async def get(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        jobs = await self._jobs(
            "WHERE job_id = ? AND (expires_at IS NULL OR expires_at > now())", job_id
        )
        return jobs[0] if jobs else None

    async def all(self) -> list[Job]:
        """See `JobStore`."""
        return await self._read(_all)

    async def reservations(self) -> set[str]:
        """See `JobStore`."""
        return await self._read(
            lambda db: {job_id for (job_id,) in db.execute("SELECT job_id FROM uploads")}
        )

    async def count(self) -> dict[str, int]:
        """See `JobStore`."""
        return await self._read(_count)

    async def position(self, job_id: str) -> int | None:
        """See `JobStore`."""
        place = await self._read(
            lambda db: _number(
                db,
                "SELECT count(*) FROM jobs WHERE status = 'pending' AND seq <="
                " (SELECT seq FROM jobs WHERE job_id = ? AND status = 'pending')",
                job_id,
            )
        )
        return place or None

    async def claim(self, owner: str, lease_seconds: float, max_processing: int) -> Job | None:
        """See `JobStore`."""

        def run(db: sqlite3.Connection) -> Job | None:
            running = _number(db, "SELECT count(*) FROM jobs WHERE status = 'processing'")
            waiting = _select(db, "WHERE status = 'pending' ORDER BY seq LIMIT 1")
            if not waiting or running >= max_processing:
                return None
            claimed = waiting[0].claimed(owner, self._now(), lease_seconds)
            assert claimed is not None
            _put(db, waiting[0], claimed)
            return claimed

        return await self._write(run)

    async def replace(self, old: Job, new: Job) -> bool:
        """See `JobStore`."""

        def run(db: sqlite3.Connection) -> bool:
            return _put(db, old, new)

        if (old.status, old.cancel_requested) == (new.status, new.cancel_requested):
            # Progress is not worth the reserve: the next beat makes up for one that was lost.
            return await self._read(lambda db: _whole(db, run))
        return await self._write(run)

    async def remove(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        removed = await self._write(lambda db: _delete(db, "WHERE job_id = ?", job_id))
        return removed[0] if removed else None

    async def lapsed(self, owner: str, running: Collection[str] = ()) -> list[Job]:
        """See `JobStore`."""
        over = await self._jobs("WHERE status = 'processing' AND lease_until <= now() ORDER BY seq")
        return [job for job in over if not (job.owner == owner and job.job_id in running)]

    async def remove_expired(self) -> list[Job]:
        """See `JobStore`."""
        return await self._write(lambda db: _delete(db, "WHERE expires_at <= now()"))

    async def beat(self, instance: Instance, uploads: Collection[str] = ()) -> None:
        """See `JobStore`; kept in memory, for nobody else reads the file."""
        del uploads
        self._instances[instance.owner] = instance

    async def leave(self, owner: str) -> None:
        """See `JobStore`."""
        self._instances.pop(owner, None)
        await self._write(lambda db: db.execute("DELETE FROM uploads WHERE owner = ?", (owner,)))

    async def instances(self) -> list[Instance]:
        """See `JobStore`."""
        return list(self._instances.values())

    async def take_turn(self, name: str, owner: str, seconds: float) -> bool:
        """There is nobody else."""
        del name, owner, seconds
        return True

    def all_now(self) -> list[Job]:
        """`all` for a caller that cannot wait in the service's loop, from any thread."""
        with self._lock:
            return _all(self._connection())

    def count_now(self) -> dict[str, int]:
        """`count` for such a caller."""
        with self._lock:
            return _count(self._connection())

    # -- how it is done

    def _open(self) -> None:
        # Opening needs room for the files beside the database; the reserve is made again at the
        # end where there is room.
        self._reserve.unlink(missing_ok=True)
        db = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.create_function("now", 0, self._now)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            self._with_reserve(db, self._prepare)
        except OSError as error:
            db.close()
            raise StartupError(
                f"the record of jobs {self._path} cannot be written ({error}); make room on its "
                "disk"
            ) from error
        except sqlite3.DatabaseError as error:
            db.close()
            raise StartupError(
                f"the record of jobs {self._path} cannot be used ({error}); move it away"
            ) from error
        except BaseException:
            db.close()
            raise
        self._opened = db

    def _prepare(self, db: sqlite3.Connection) -> None:
        version = _number(db, "PRAGMA user_version")
        if version == 0:
            for statement in filter(None, _SCHEMA.split(";\n")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise StartupError(
                f"the record of jobs {self._path} has version {version}, and this service reads "
                f"version {SCHEMA_VERSION}; move it away, or start the service that wrote it"
            )
        (latest,) = db.execute("SELECT max(state_changed_at) FROM jobs").fetchone()
        self._offset = max(self._clock.wall(), latest or 0.0) - self._clock.monotonic()
        # The lock on the folder proves that nobody else is at work.
        db.execute("UPDATE jobs SET lease_until = now() WHERE status = 'processing'")
        db.execute("DELETE FROM uploads")

    def _now(self) -> float:
        return self._offset + self._clock.monotonic()

    async def _jobs(self, where: str, *values: Any) -> list[Job]:
        return await self._read(lambda db: _select(db, where, *values))

    async def _read(self, run: Callable[[sqlite3.Connection], Result]) -> Result:
        def in_turn(db: sqlite3.Connection) -> Result:
            with self._lock:
                return run(db)

        connection = self._connection()
        return await anyio.to_thread.run_sync(in_turn, connection, limiter=self._limiter)

    async def _write(self, run: Callable[[sqlite3.Connection], Result]) -> Result:
        return await self._read(lambda db: self._with_reserve(db, run))

    async def _write_new(self, run: Callable[[sqlite3.Connection], Result]) -> Result:
        """Write what may be refused: raises `OSError` (ENOSPC) where there is no reserve."""

        def whole(db: sqlite3.Connection) -> Result:
            self._hold_reserve()
            return _whole(db, run)

        return await self._read(whole)

    def _with_reserve(
        self, db: sqlite3.Connection, run: Callable[[sqlite3.Connection], Result]
    ) -> Result:
        """Write what must be written; where the disk is full, into the space of the reserve."""
        try:
            result = _whole(db, run)
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._reserve.exists():
                raise
            self._reserve.unlink()
            result = _whole(db, run)
        # Where there is still no room, the next upload is refused for it.
        with suppress(OSError):
            self._hold_reserve()
        return result

    def _hold_reserve(self) -> None:
        """Make the reserve if it is not there."""
        if self._reserve.exists():
            return
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError:
            self._reserve.unlink()
            raise
        finally:
            os.close(descriptor)

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            raise RuntimeError("the record of jobs is not open")
        return self._opened


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written in the block, or nothing; a full disk is an `OSError`, as for files."""
    try:
        # Immediate: a transaction that reads and then writes must not be overtaken in between.
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException as error:
        # Where the disk is full SQLite may have rolled back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
            raise OSError(errno.ENOSPC, str(error)) from error
        raise


def _whole(db: sqlite3.Connection, run: Callable[[sqlite3.Connection], Result]) -> Result:
    """What `run` gives, in a transaction of its own."""
    with _transaction(db):
        return run(db)


def _all(db: sqlite3.Connection) -> list[Job]:
    return _select(db, "ORDER BY seq")


def _count(db: sqlite3.Connection) -> dict[str, int]:
    found = dict(db.execute("SELECT status, count(*) FROM jobs GROUP BY status"))
    return {state.value: found.get(state.value, 0) for state in State}


def _number(db: sqlite3.Connection, statement: str, *values: Any) -> int:
    return int(db.execute(statement, values).fetchone()[0])


def _select(db: sqlite3.Connection, where: str, *values: Any) -> list[Job]:
    rows = db.execute(f"SELECT {_NAMES} FROM jobs {where}", values)  # noqa: S608
    return [_job(row) for row in rows]


def _put(db: sqlite3.Connection, old: Job, new: Job) -> bool:
    changed = db.execute(
        f"UPDATE jobs SET {_ASSIGNMENTS} WHERE job_id = ? AND version = ?",  # noqa: S608
        (*_row(new), old.job_id, old.version),
    )
    return changed.rowcount == 1


def _delete(db: sqlite3.Connection, where: str, *values: Any) -> list[Job]:
    removed = _select(db, where, *values)
    db.execute(f"DELETE FROM jobs {where}", values)  # noqa: S608
    return removed


def _row(job: Job) -> list[Any]:
    values = {name: getattr(job, name) for name in _COLUMNS}
    values["status"] = job.status.value
    for name in _ENCODED:
        values[name] = json.dumps(dict(values[name]))
    return list(values.values())


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["status"] = State(values["status"])
    values["cancel_requested"] = bool(values["cancel_requested"])
    for name in _ENCODED:
        values[name] = json.loads(values[name])
    return Job(**values)

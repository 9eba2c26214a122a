"""Jobs in PostgreSQL: one record of jobs, and one queue, for the processes of many machines.

The queue is the rows that are pending, so a job and its place in the queue are one commit. Whoever
waits is notified of every change by NOTIFY, in the same commit. The clock is the database's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from typing import Any, TypeVar

import asyncpg

from reference_app.errors import StartupError, StoreUnavailable
from reference_app.instances import Instance
from reference_app.jobs.model import Job, State
from reference_app.jobs.postgres_schema import CHANNEL, MIGRATIONS, SCHEMA, SCHEMA_VERSION
from reference_app.jobs.store import Heard, JobChange, PlaceLost

__all__ = ["PostgresJobStore", "migrate"]

_COLUMNS = tuple(one.name for one in fields(Job))
_NAMES = ", ".join(_COLUMNS)
_SLOTS = ", ".join(f"${number}" for number in range(1, len(_COLUMNS) + 1))
_ASSIGNMENTS = ", ".join(f"{name} = ${number}" for number, name in enumerate(_COLUMNS, 1))
_PUT = (
    f"UPDATE jobs SET {_ASSIGNMENTS}"  # noqa: S608
    f" WHERE job_id = ${len(_COLUMNS) + 1} AND version = ${len(_COLUMNS) + 2}"
)
_ENCODED = {"summary", "files"}
_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 10.0
_LISTEN_AGAIN_SECONDS = 1.0
_LISTEN_CHECK_SECONDS = 5.0
# Taken where the limits of the whole service are compared with what is there; "refapp" in ASCII.
_LIMITS = 0x726566617070
_MIGRATION = _LIMITS + 1
_SETTINGS = {
    "search_path": SCHEMA,
    "application_name": SCHEMA,
    # A process that was stopped in the middle of a transaction must not keep all others waiting.
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "5s",
    # Also of one whose machine is gone, and with it the connection's other end.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# What a statement fails with where the database is away, or has something better to do.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
)

Result = TypeVar("Result")


class PostgresJobStore:
    """Records in a database that many processes share; what does not answer is `StoreUnavailable`.

    A commit whose answer was lost counts as failed here, and may have taken effect there.
    """

    def __init__(self, url: str, *, lease_seconds: float, connections: int) -> None:
        self._url = url
        self._lease_seconds = lease_seconds
        self._connections = connections
        self._pool: Any = None
        self._heard: Heard | None = None
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; raises `StartupError` where nobody answers or the schema is another one."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._connections,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                server_settings=_SETTINGS,
            )
            found = await self._pool.fetchval("SELECT to_regclass('versions')") and (
                await self._pool.fetchval("SELECT max(version) FROM versions")
            )
        except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
            await self.close()
            raise StartupError(f"the database cannot be used ({error or repr(error)})") from error
        version = int(found or 0)
        if version != SCHEMA_VERSION:
            await self.close()
            what = (
                "run `python -m reference_app migrate`"
                if version < SCHEMA_VERSION
                else "start the newer service that made it"
            )
            raise StartupError(
                f"the database has version {version} of the tables, and this service reads "
                f"version {SCHEMA_VERSION}; {what}"
            )
        if self._heard is not None:
            self._listener = asyncio.create_task(self._listen(self._heard), name="listener")

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
            self._listener = None
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    def watch(self, heard: Heard) -> None:
        """See `JobStore`; to be called before `open`."""
        self._heard = heard

    async def now(self) -> float:
        """Seconds since the epoch on the database's clock."""
        now: float = await self._value("SELECT now_seconds()")
        return now

    async def reserve(self, job_id: str, owner: str, max_pending: int) -> bool:
        """See `JobStore`."""
        async with self._transaction(limits=True) as db:
            taken: int = await db.fetchval(
                "SELECT (SELECT count(*) FROM jobs WHERE status = 'pending')"
                " + (SELECT count(*) FROM uploads WHERE lease_until > now_seconds())"
            )
            if taken >= max_pending:
                return False
            await db.execute(
                "INSERT INTO uploads VALUES ($1, $2, now_seconds() + $3)",
                job_id,
                owner,
                self._lease_seconds,
            )
        return True

    async def unreserve(self, job_id: str) -> None:
        """See `JobStore`."""
        async with self._transaction() as db:
            await db.execute("DELETE FROM uploads WHERE job_id = $1", job_id)

    async def add(self, job_id: str, filename: str, size_bytes: int) -> Job:
        """See `JobStore`."""
        async with self._transaction() as db:
            now: float | None = await db.fetchval(
                "DELETE FROM uploads WHERE job_id = $1 AND lease_until > now_seconds()"
                " RETURNING now_seconds()",
                job_id,
            )
            if now is None:
                raise PlaceLost(job_id)
            job = Job(job_id, filename, size_bytes, created_at=now, state_changed_at=now)
            statement = f"INSERT INTO jobs ({_NAMES}) VALUES ({_SLOTS})"  # noqa: S608
            await db.execute(statement, *_row(job))
        return job

    async def get(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        jobs = await self._jobs(
            "WHERE job_id = $1 AND (expires_at IS NULL OR expires_at > now_seconds())", job_id
        )
        return jobs[0] if jobs else None

    async def all(self) -> list[Job]:
        """See `JobStore`."""
        return await self._jobs("ORDER BY seq")

    async def reservations(self) -> set[str]:
        """See `JobStore`."""
        rows = await self._rows("SELECT job_id FROM uploads WHERE lease_until > now_seconds()")
        return {job_id for (job_id,) in rows}

    async def count(self) -> dict[str, int]:
        """See `JobStore`."""
        rows = await self._rows("SELECT status, count(*) FROM jobs GROUP BY status")
        found = {status: count for status, count in rows}  # noqa: C416
        return {state.value: found.get(state.value, 0) for state in State}

    async def position(self, job_id: str) -> int | None:
        """See `JobStore`."""
        place: int = await self._value(
            "SELECT count(*) FROM jobs WHERE status = 'pending' AND seq <="
            " (SELECT seq FROM jobs WHERE job_id = $1 AND status = 'pending')",
            job_id,
        )
        return place or None

    async def claim(self, owner: str, lease_seconds: float, max_processing: int) -> Job | None:
        """See `JobStore`."""
        async with self._transaction(limits=True) as db:
            running: int = await db.fetchval(
                "SELECT count(*) FROM jobs WHERE status = 'processing'"
            )
            if running >= max_processing:
                return None
            # Locked, so that a cancel at the same time comes before this or after it.
            row = await db.fetchrow(
                f"SELECT now_seconds() AS now, {_NAMES} FROM jobs"  # noqa: S608
                " WHERE status = 'pending' ORDER BY seq LIMIT 1 FOR UPDATE"
            )
            if row is None:
                return None
            now, *values = row
            first = _job(values)
            claimed = first.claimed(owner, now, lease_seconds)
            # The row may have changed while its lock was waited for.
            if claimed is not None:
                await db.execute(_PUT, *_row(claimed), first.job_id, first.version)
            return claimed

    async def replace(self, old: Job, new: Job) -> bool:
        """See `JobStore`."""
        async with self._transaction() as db:
            done: str = await db.execute(_PUT, *_row(new), old.job_id, old.version)
        return done == "UPDATE 1"

    async def remove(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        removed = await self._delete("WHERE job_id = $1", job_id)
        return removed[0] if removed else None

    async def lapsed(self, owner: str, running: Collection[str] = ()) -> list[Job]:
        """See `JobStore`."""
        return await self._jobs(
            "WHERE status = 'processing' AND lease_until <= now_seconds()"
            " AND NOT (owner = $1 AND job_id = ANY($2)) ORDER BY seq",
            owner,
            list(running),
        )

    async def remove_expired(self) -> list[Job]:
        """See `JobStore`."""
        return await self._delete("WHERE expires_at <= now_seconds()")

    async def beat(self, instance: Instance, uploads: Collection[str] = ()) -> None:
        """See `JobStore`."""
        async with self._transaction() as db:
            await db.execute(
                "INSERT INTO instances VALUES ($1, now_seconds() + $2, $3)"
                " ON CONFLICT (owner) DO UPDATE"
                " SET lease_until = excluded.lease_until, report = excluded.report",
                instance.owner,
                self._lease_seconds,
                json.dumps(asdict(instance)),
            )
            # A place that was lost stays lost: its objects may have been swept away.
            await db.execute(
                "UPDATE uploads SET lease_until = now_seconds() + $1"
                " WHERE owner = $2 AND job_id = ANY($3) AND lease_until > now_seconds()",
                self._lease_seconds,
                instance.owner,
                list(uploads),
            )

    async def leave(self, owner: str) -> None:
        """See `JobStore`."""
        async with self._transaction() as db:
            for table in ("instances", "uploads", "turns"):
                await db.execute(f"DELETE FROM {table} WHERE owner = $1", owner)  # noqa: S608

    async def instances(self) -> list[Instance]:
        """See `JobStore`."""
        rows = await self._rows(
            "SELECT report FROM instances WHERE lease_until > now_seconds() ORDER BY owner"
        )
        return [Instance(**json.loads(report)) for (report,) in rows]

    async def take_turn(self, name: str, owner: str, seconds: float) -> bool:
        """See `JobStore`."""
        async with self._transaction() as db:
            mine: str | None = await db.fetchval(
                "INSERT INTO turns VALUES ($1, $2, now_seconds() + $3)"
                " ON CONFLICT (name) DO UPDATE"
                " SET owner = excluded.owner, lease_until = excluded.lease_until"
                " WHERE turns.owner = excluded.owner OR turns.lease_until <= now_seconds()"
                " RETURNING owner",
                name,
                owner,
                seconds,
            )
            if mine is None:
                return False
            for table in ("instances", "uploads"):
                # What ran out a while ago is of no use to anybody.
                await db.execute(
                    f"DELETE FROM {table} WHERE lease_until < now_seconds() - 600"  # noqa: S608
                )
        return True

    # -- how it is done

    @asynccontextmanager
    async def _transaction(self, *, limits: bool = False) -> AsyncIterator[Any]:
        """A connection in a transaction; with `limits`, no other one like this at once."""
        try:
            async with self._connection() as db, db.transaction():
                if limits:
                    await db.execute("SELECT pg_advisory_xact_lock($1)", _LIMITS)
                yield db
        except _AWAY as error:
            raise _unavailable(error) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            raise RuntimeError("the record of jobs is not open")
        async with self._pool.acquire(timeout=_CONNECT_SECONDS) as db:
            yield db

    async def _read(self, ask: Callable[[Any], Awaitable[Result]]) -> Result:
        """Ask, and once more where the connection turns out to be one to an earlier server."""
        try:
            with suppress(asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
                async with self._connection() as db:
                    return await ask(db)
            async with self._connection() as db:
                return await ask(db)
        except _AWAY as error:
            raise _unavailable(error) from error

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        return await self._read(lambda db: db.fetch(statement, *values))

    async def _value(self, statement: str, *values: Any) -> Any:
        return await self._read(lambda db: db.fetchval(statement, *values))

    async def _jobs(self, where: str, *values: Any) -> list[Job]:
        rows = await self._rows(f"SELECT {_NAMES} FROM jobs {where}", *values)  # noqa: S608
        return [_job(row) for row in rows]

    async def _delete(self, where: str, *values: Any) -> list[Job]:
        async with self._transaction() as db:
            rows = await db.fetch(
                f"DELETE FROM jobs {where} RETURNING {_NAMES}",  # noqa: S608
                *values,
            )
        return [_job(row) for row in rows]

    async def _listen(self, heard: Heard) -> None:
        """Pass on notifications of jobs, and after every gap that something may be missing."""
        while True:
            with suppress(*_AWAY, asyncpg.PostgresError):
                db = await asyncpg.connect(
                    self._url,
                    timeout=_CONNECT_SECONDS,
                    command_timeout=_COMMAND_SECONDS,
                    server_settings=_SETTINGS,
                )
                try:
                    await db.add_listener(CHANNEL, lambda *values: heard(_change(values[-1])))
                    heard(None)
                    while True:
                        await asyncio.sleep(_LISTEN_CHECK_SECONDS)
                        await db.execute("SELECT 1")
                finally:
                    db.terminate()
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)


async def migrate(url: str) -> tuple[int, int]:
    """Bring the tables up to date, all or nothing; gives the versions before and after.

    Raises `StartupError` where the database cannot be used, or has tables of a newer service.
    """
    try:
        db: Any = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    except (*_AWAY, asyncpg.PostgresError, ValueError) as error:
        raise StartupError(f"the database cannot be used ({error or repr(error)})") from error
    try:
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION)
            await db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await db.execute(f"SET LOCAL search_path TO {SCHEMA}")
            await db.execute(
                "CREATE TABLE IF NOT EXISTS versions (version integer PRIMARY KEY,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )
            before = int(await db.fetchval("SELECT max(version) FROM versions") or 0)
            if before > SCHEMA_VERSION:
                raise StartupError(
                    f"the database has version {before} of the tables, and this service knows "
                    f"version {SCHEMA_VERSION}; migrate with the newer service"
                )
            for version, statements in enumerate(MIGRATIONS[before:], before + 1):
                await db.execute(statements)
                await db.execute("INSERT INTO versions VALUES ($1)", version)
    finally:
        await db.close()
    return before, SCHEMA_VERSION


def _unavailable(error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(
        "The record of jobs cannot be reached.", reason="database", cause=repr(error)
    )


def _change(payload: str) -> JobChange:
    job_id, status, cancelled = payload.split(" ")
    return JobChange(job_id, status, cancelled == "t")


def _row(job: Job) -> list[Any]:
    values = {name: getattr(job, name) for name in _COLUMNS}
    values["status"] = job.status.value
    for name in _ENCODED:
        values[name] = json.dumps(dict(values[name]))
    return list(values.values())


def _job(row: Any) -> Job:
    values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    values["status"] = State(values["status"])
    for name in _ENCODED:
        values[name] = json.loads(values[name])
    return Job(**values)

"""What every store of jobs promises; each test runs on every one of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.postgres import PostgresServer
from reference_app.instances import Instance
from reference_app.jobs.model import Job, State
from reference_app.jobs.sqlite_store import SqliteJobStore
from reference_app.jobs.store import JobStore, MemoryJobStore, PlaceLost, update
from tests.reference_app.conftest import HandClock
from tests.reference_app.store_steps import LEASE, TTL, add, claim, claimed, publish

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class DatabaseClock(HandClock):
    """A hand on the clock of a database."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server, self._database = server, database

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "monotonic_ahead":
            ahead = f"extract(epoch FROM clock_timestamp())::double precision + {value}"
            self._server.sql(
                "CREATE OR REPLACE FUNCTION reference_app.now_seconds() RETURNS double precision"
                f" LANGUAGE sql VOLATILE AS 'SELECT {ahead}'",
                self._database,
            )


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    from reference_app.jobs.postgres_store import migrate

    name = f"contract_{os.getpid()}"
    assert asyncio.run(migrate(postgres.create(name)))[0] == 0
    yield name
    postgres.drop(name)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clock(kind: str, request: pytest.FixtureRequest) -> HandClock:
    if kind != "postgres":
        return HandClock()
    server = request.getfixturevalue("postgres")
    database = request.getfixturevalue("database")
    tables = ("jobs", "uploads", "instances", "turns")
    server.sql(f"TRUNCATE {', '.join('reference_app.' + one for one in tables)}", database)
    clock = DatabaseClock(server, database)
    clock.monotonic_ahead = 0.0
    return clock


@pytest.fixture
async def store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock
) -> AsyncIterator[JobStore]:
    made: JobStore
    if kind == "postgres":
        from reference_app.jobs.postgres_store import PostgresJobStore

        server, name = request.getfixturevalue("postgres"), request.getfixturevalue("database")
        made = PostgresJobStore(server.url(name), lease_seconds=LEASE, connections=5)
    elif kind == "memory":
        made = MemoryJobStore(clock)
    else:
        made = SqliteJobStore(tmp_path / "jobs.sqlite3", clock)
    await made.open()
    yield made
    await made.close()


async def cancel(store: JobStore, job_id: str) -> Job | None:
    return await update(store, job_id, lambda one, now: one.cancelled(now, TTL, "Cancelled."))


async def requeue(store: JobStore, job: Job, max_attempts: int = 3) -> Job | None:
    return await update(
        store, job.job_id, lambda one, now: one.requeued(job.attempt, now, TTL, max_attempts)
    )


async def test_jobs_wait_in_the_order_in_which_they_came(store: JobStore) -> None:
    await add(store, "a", "b", "c")
    assert [await store.position(job_id) for job_id in "abc"] == [1, 2, 3]
    assert [(await claimed(store)).job_id for _ in "abc"] == ["a", "b", "c"]
    assert await store.position("a") is None
    assert await claim(store) is None


async def test_a_claim_names_attempt_owner_and_lease(store: JobStore) -> None:
    await add(store, "a")
    job = await claimed(store, "worker")
    now = await store.now()
    assert (job.status, job.attempt, job.owner) == (State.PROCESSING, 1, "worker")
    assert job.lease_until is not None
    assert now < job.lease_until <= now + LEASE
    assert await store.get("a") == job


async def test_the_limit_of_running_jobs_is_that_of_all_owners(store: JobStore) -> None:
    await add(store, "a", "b", "c")
    assert await claim(store, "one") is not None
    assert await claim(store, "two") is not None
    assert await claim(store, "three") is None


async def test_claims_at_once_never_give_one_job_twice(store: JobStore) -> None:
    ids = [f"job-{number}" for number in range(20)]
    await add(store, *ids)
    claims = await asyncio.gather(*(claim(store, f"owner-{n}", 99) for n in range(30)))
    assert sorted(job.job_id for job in claims if job is not None) == sorted(ids)


async def test_a_record_is_replaced_only_where_it_is_still_the_one_that_was_read(
    store: JobStore,
) -> None:
    await add(store, "a")
    read = await store.get("a")
    assert read is not None
    first = replace(read, version=read.version + 1, message="first")
    second = replace(read, version=read.version + 1, message="second")
    assert await store.replace(read, first)
    assert not await store.replace(read, second)
    assert await store.get("a") == first
    assert not await store.replace(replace(read, job_id="other"), second)


async def test_changes_at_once_all_take_effect(store: JobStore) -> None:
    await add(store, "a")

    def step(job: Job, _now: float) -> Job:
        return replace(job, version=job.version + 1, progress=job.progress + 1)

    await asyncio.gather(*(update(store, "a", step) for _ in range(25)))
    job = await store.get("a")
    assert job is not None
    assert job.progress == 25


async def test_a_result_is_published_once_and_as_it_was_given(store: JobStore) -> None:
    await add(store, "a")
    job = await claimed(store)
    assert await publish(store, job) is not None
    assert await publish(store, job) is None
    done = await store.get("a")
    assert done is not None
    assert (done.status, done.progress, done.owner) == (State.COMPLETED, 1.0, None)
    assert (dict(done.summary), dict(done.files)) == (
        {"notes": ["ä"], "rate": 0.5},
        {"csv": "a.csv"},
    )
    assert (done.memory_before_bytes, done.memory_after_bytes) == (1, 2)


async def test_an_attempt_that_was_taken_over_publishes_nothing(
    store: JobStore, clock: HandClock
) -> None:
    await add(store, "a")
    first = await claimed(store, "sleeper")
    clock.monotonic_ahead += LEASE + 1
    (lapsed,) = await store.lapsed("other")
    assert await requeue(store, lapsed) is not None
    second = await claimed(store, "other")
    assert (first.attempt, second.attempt) == (1, 2)
    assert await publish(store, first) is None
    beat = await update(store, "a", lambda one, now: one.beaten(first.attempt, now, LEASE))
    assert beat is None
    assert await publish(store, second) is not None


async def test_a_job_that_is_put_back_waits_before_those_that_came_later(store: JobStore) -> None:
    await add(store, "a", "b")
    job = await claimed(store)
    again = await requeue(store, job)
    assert again is not None
    assert "restarted" in again.message
    assert [await store.position(job_id) for job_id in "ab"] == [1, 2]
    assert "Attempt 2" in (await claimed(store)).message


async def test_a_job_is_never_tried_more_often_than_allowed(store: JobStore) -> None:
    await add(store, "a")
    for attempt in (1, 2, 3):
        job = await claimed(store)
        assert job.attempt == attempt
        last = await requeue(store, job)
    assert last is not None
    assert last.status is State.FAILED
    assert "3 times" in (last.error or "")
    assert await claim(store) is None


async def test_only_a_lease_that_ran_out_and_that_nobody_works_under_has_lapsed(
    store: JobStore, clock: HandClock
) -> None:
    await add(store, "a")
    job = await claimed(store, "me")
    assert await store.lapsed("other") == []
    clock.monotonic_ahead += LEASE - 1
    assert await update(store, "a", lambda one, now: one.beaten(1, now, LEASE)) is not None
    clock.monotonic_ahead += LEASE - 1
    assert await store.lapsed("other") == []
    clock.monotonic_ahead += 2
    assert [one.job_id for one in await store.lapsed("other")] == [job.job_id]
    assert await store.lapsed("me", {"a"}) == []
    assert await store.lapsed("me", {"b"}) != [], "nor by its owner, whose claim got no answer"


async def test_a_cancel_of_a_running_job_is_reported_to_its_owner_and_wins(store: JobStore) -> None:
    await add(store, "a")
    job = await claimed(store)
    asked = await cancel(store, "a")
    assert asked is not None
    assert asked.status is State.PROCESSING
    beat = await update(store, "a", lambda one, now: one.beaten(1, now, LEASE))
    assert beat is not None
    assert beat.cancel_requested
    assert await publish(store, job) is None
    ended = await update(store, "a", lambda one, now: one.ended(1, now, TTL, "too late"))
    assert ended is not None
    assert (ended.status, ended.error) == (State.CANCELLED, None)


async def test_a_cancelled_job_is_not_run_again(store: JobStore) -> None:
    await add(store, "a")
    job = await claimed(store)
    await cancel(store, "a")
    ended = await requeue(store, job)
    assert ended is not None
    assert ended.status is State.CANCELLED


async def test_a_cancel_of_a_waiting_job_is_final_at_once(store: JobStore) -> None:
    await add(store, "a", "b")
    job = await cancel(store, "a")
    assert job is not None
    assert job.status is State.CANCELLED
    assert await store.position("b") == 1
    assert await cancel(store, "a") is None
    assert (await claimed(store)).job_id == "b"


async def test_places_are_reserved_within_the_limit_and_pass_to_the_job(store: JobStore) -> None:
    assert await store.reserve("a", "me", 2)
    assert await store.reserve("b", "me", 2)
    assert not await store.reserve("c", "me", 2)
    await store.add("a", "a.mp4", 7)
    with pytest.raises(PlaceLost):
        await store.add("a", "a.mp4", 7)
    assert await store.reservations() == {"b"}
    assert not await store.reserve("c", "me", 2)
    await store.unreserve("b")
    await store.unreserve("a")
    assert await store.reserve("c", "me", 2)
    await claimed(store)
    assert await store.reserve("d", "me", 2)


async def test_uploads_that_come_at_once_never_overfill_the_queue(store: JobStore) -> None:
    async def upload(job_id: str) -> bool:
        if not await store.reserve(job_id, "me", 5):
            return False
        await store.add(job_id, "a.mp4", 7)
        return True

    taken = await asyncio.gather(*(upload(f"job-{number}") for number in range(20)))
    assert sum(taken) == 5
    assert (await store.count())["pending"] == 5


async def test_states_are_counted(store: JobStore) -> None:
    await add(store, "a", "b", "c")
    await publish(store, await claimed(store))
    await claimed(store)
    counts = {state.value: 0 for state in State}
    assert await store.count() == counts | {"completed": 1, "processing": 1, "pending": 1}
    assert [job.job_id for job in await store.all()] == ["a", "b", "c"]


async def test_a_final_job_is_over_after_its_time_and_no_other_is(
    store: JobStore, clock: HandClock
) -> None:
    await add(store, "done", "waits")
    await publish(store, await claimed(store))
    clock.monotonic_ahead += TTL - 1
    assert await store.get("done") is not None
    assert await store.remove_expired() == []
    clock.monotonic_ahead += 2
    assert await store.get("done") is None
    assert [job.job_id for job in await store.remove_expired()] == ["done"]
    assert [job.job_id for job in await store.all()] == ["waits"]


async def test_a_step_of_the_time_of_day_changes_nothing(store: JobStore, clock: HandClock) -> None:
    before = await store.now()
    clock.wall_ahead = -86_400.0
    assert before <= await store.now() < before + 60
    clock.wall_ahead = 86_400.0
    assert before <= await store.now() < before + 60


async def test_a_removed_job_is_unknown(store: JobStore) -> None:
    await add(store, "a")
    removed = await store.remove("a")
    assert removed is not None
    assert removed.job_id == "a"
    assert await store.remove("a") is None
    assert await store.get("a") is None
    assert await cancel(store, "a") is None


# -- what only a store that others may share has to promise


def instance(owner: str, running: int = 0) -> Instance:
    return Instance(owner, "worker", "here", 1.0, running, 2, 100, 50, 512)


async def test_a_process_is_known_by_its_last_report_until_it_leaves(store: JobStore) -> None:
    await store.beat(instance("a", running=1))
    await store.beat(instance("a", running=2))
    assert await store.instances() == [instance("a", running=2)]
    await store.reserve("x", "a", 9)
    await store.leave("a")
    assert await store.instances() == []
    assert await store.reservations() == set()


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
async def test_who_gives_no_sign_of_life_is_forgotten_with_its_uploads(
    store: JobStore, clock: HandClock
) -> None:
    await store.beat(instance("a"))
    for job_id in ("alive", "dead"):
        assert await store.reserve(job_id, "a", 2)
    clock.monotonic_ahead = LEASE - 1
    await store.beat(instance("a"), {"alive"})
    clock.monotonic_ahead = LEASE + 1
    assert await store.reservations() == {"alive"}
    with pytest.raises(PlaceLost):
        await store.add("dead", "a.mp4", 7)
    # What was lost stays lost: its objects may have been deleted.
    await store.beat(instance("a"), {"alive", "dead"})
    assert await store.reservations() == {"alive"}
    assert await store.reserve("another", "b", 2)
    clock.monotonic_ahead = 3 * LEASE
    assert await store.instances() == []


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
async def test_one_has_the_turn_at_a_time(store: JobStore, clock: HandClock) -> None:
    taken = await asyncio.gather(*(store.take_turn("sweep", f"o{n}", 60) for n in range(10)))
    assert sum(taken) == 1
    holder = f"o{taken.index(True)}"
    assert await store.take_turn("sweep", holder, 60)
    assert not await store.take_turn("sweep", "other", 60)
    assert await store.take_turn("another thing", "other", 60)
    clock.monotonic_ahead = 61
    assert await store.take_turn("sweep", "other", 60)

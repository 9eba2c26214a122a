"""The steps of a job's record, as the tests of stores take them."""

from __future__ import annotations

from reference_app.jobs.model import Job
from reference_app.jobs.store import JobStore, update

TTL = 3600.0
LEASE = 30.0


async def add(store: JobStore, *ids: str) -> None:
    for job_id in ids:
        await store.reserve(job_id, "me", 99)
        await store.add(job_id, f"{job_id}.mp4", 7)


async def claim(store: JobStore, owner: str = "me", places: int = 2) -> Job | None:
    return await store.claim(owner, LEASE, places)


async def claimed(store: JobStore, owner: str = "me", places: int = 9) -> Job:
    job = await claim(store, owner, places)
    assert job is not None
    return job


async def publish(store: JobStore, job: Job) -> Job | None:
    return await update(
        store,
        job.job_id,
        lambda one, now: one.published(
            job.attempt, now, TTL, {"notes": ["ä"], "rate": 0.5}, {"csv": "a.csv"}, (1, 2)
        ),
    )

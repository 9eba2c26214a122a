"""What the database and the object store of a service say of its jobs, once all of them are over.

`python -m load.record` prints it. A process of its own: the clients are asyncio's, and Locust's
process is gevent's.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from load.plan import ROOT, LoadPlan

__all__ = ["Record", "main", "read_record"]


@dataclass(frozen=True)
class Record:
    """What is on record.

    `statuses`: those of each job, in the order in which it came to them. `rows`: the ids of jobs
    that are still recorded. `objects`: the keys of objects that are still stored.
    """

    statuses: Mapping[str, list[str]]
    rows: list[str]
    objects: list[str]


def read_record(plan: LoadPlan) -> Record:
    """The record of the service that the plan names; for a process with gevent.

    Raises:
        subprocess.CalledProcessError: it could not be read; why is in standard error.
    """
    from gevent import subprocess

    text = subprocess.check_output(
        [sys.executable, "-m", "load.record"], cwd=ROOT, env={**os.environ, **plan.to_environment()}
    )
    return Record(**json.loads(text))


async def _read(plan: LoadPlan) -> Record:
    import asyncpg

    from reference_app.storage.s3 import S3ObjectStore

    database = await asyncpg.connect(plan.database_url)
    try:
        # In the order of their commits: a job's changes wait for one another's locks.
        changes = await database.fetch("SELECT job_id, status FROM reference_app.audit ORDER BY n")
        rows = await database.fetch("SELECT job_id FROM reference_app.jobs ORDER BY seq")
    finally:
        await database.close()
    statuses: dict[str, list[str]] = {}
    for job_id, status in changes:
        statuses.setdefault(job_id, []).append(status)
    objects = sorted(await S3ObjectStore(plan.storage_url).keys("jobs/"))
    return Record(statuses, [job_id for (job_id,) in rows], objects)


def main() -> int:
    """Print the record as JSON."""
    print(json.dumps(asdict(asyncio.run(_read(LoadPlan.from_environment())))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

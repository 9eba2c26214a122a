"""How the service scales: `python -m tests.reference_app.scale_figures [JOBS]`.

Prints how long a job waits from its row to its start while a slot is free, announced by NOTIFY and
by Redis; then how many jobs an hour 1, 2 and 4 workers do. There, a job is once a wait of 0.5 s,
which shows what the queue can do, and once a clip, which shows what the processors can do. JOBS
(12) is how many there are for each worker. PostgreSQL, the S3 server and Redis are real; all run
on this machine.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from fixtures.clips import clip as walking_clip
from fixtures.servers.postgres import PostgresServer, postgres_server
from fixtures.servers.s3 import S3Server, s3_server
from tests.reference_app import cluster as clusters
from tests.reference_app.cluster import Cluster, cluster, wait_all
from tests.reference_app.conftest import Client
from tests.reference_app.memory_figures import REAL_API, REAL_WORKER
from tests.reference_app.redis_broker import redis_broker
from tests.reference_app.stand_in_engine import clip as instruction

#: Only an announcement may start a job: nobody looks at the queue unasked meanwhile.
_NO_LOOKS = {"QUEUE_POLL_SECONDS": "60", "JOB_BEAT_SECONDS": "20", "JOB_LEASE_SECONDS": "60"}
_STARTS = 100
_WORKERS = (1, 2, 4)
_SECONDS_AN_HOUR = 3600


def waits(parts: Cluster) -> list[float]:
    """Milliseconds from accepted to started of jobs that come one at a time, sorted."""
    api = parts.api()
    for _ in range(2):
        parts.worker()
    for _ in range(_STARTS):
        api.wait(api.start("quick"))
    return [1000 * value for value in _numbers(parts, "started_at - created_at")]


def jobs_an_hour(parts: Cluster, workers: int, jobs: int, body: bytes) -> float:
    """What so many workers do with so many jobs that all wait, after one job each to warm up."""
    api = parts.api()
    for _ in range(workers):
        parts.worker()
    _all_done(api, workers, body)
    parts.database.sql("TRUNCATE reference_app.jobs CASCADE", parts.database_name)
    _all_done(api, jobs, body)
    (seconds,) = _numbers(parts, "max(finished_at) - min(started_at)")
    return jobs / seconds * _SECONDS_AN_HOUR


def _all_done(api: Client, jobs: int, body: bytes) -> None:
    ids = []
    for _ in range(jobs):
        answer = api.upload(body)
        assert answer.status_code == 202, answer.text
        ids.append(str(answer.json()["job_id"]))
    ends = {one["status"] for one in wait_all(api, ids, 600).values()}
    assert ends == {"completed"}, ends


def _numbers(parts: Cluster, expression: str) -> list[float]:
    """An expression over all jobs, sorted."""
    rows = parts.database.sql(f"SELECT {expression} FROM reference_app.jobs", parts.database_name)
    return sorted(float(row) for row in rows.split())


def _print_waits(folder: Path, postgres: PostgresServer, s3: S3Server) -> None:
    two = {**_NO_LOOKS, "MAX_PROCESSING": "2", "WORKER_SLOTS": "1"}
    with redis_broker() as broker:
        for name, queue in (("NOTIFY", {}), ("Redis", {"QUEUE_URL": broker.url})):
            place = folder / f"waits-{name}"
            place.mkdir()
            with cluster(place, postgres, s3, **two, **queue) as parts:
                found = waits(parts)
            print(
                f"accepted to started by {name}: median {found[len(found) // 2]:.0f} ms, "
                f"95th percentile {found[len(found) * 95 // 100]:.0f} ms, of {len(found)}",
                flush=True,
            )


def _print_throughput(
    folder: Path, postgres: PostgresServer, s3: S3Server, each: int, kind: str, body: bytes
) -> None:
    first = 0.0
    for workers in _WORKERS:
        place = folder / f"{kind}-{workers}"
        place.mkdir()
        jobs = each * workers
        limits = {
            "MAX_PROCESSING": str(workers), "WORKER_SLOTS": "1", "MAX_PENDING": str(2 * jobs),
        }  # fmt: skip
        pool = {"WORKERS": "process"} if kind == "pipeline" else {}
        with cluster(place, postgres, s3, **_NO_LOOKS, **limits, **pool) as parts:
            now = jobs_an_hour(parts, workers, jobs, body)
        first = first or now
        print(
            f"{kind}, {workers} at once: {now:.0f} jobs an hour, {now / first:.2f} times one's",
            flush=True,
        )


def main(each: int = 12) -> None:
    """Print all figures."""
    video = walking_clip(width=640, height=360, seconds=4).path.read_bytes()
    with (
        tempfile.TemporaryDirectory(prefix="figures-") as name,
        postgres_server() as postgres,
        s3_server(Path(name) / "s3") as s3,
    ):
        folder = Path(name) / "scale"
        folder.mkdir()
        _print_waits(folder, postgres, s3)
        _print_throughput(folder, postgres, s3, each, "wait", instruction("half"))
        with (
            patch.object(clusters, "_API", REAL_API),
            patch.object(clusters, "_WORKER", REAL_WORKER),
        ):
            _print_throughput(folder, postgres, s3, each, "pipeline", video)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))

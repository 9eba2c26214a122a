"""The service on more than one machine: two processes take uploads in, others do the jobs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.servers.postgres import PostgresServer
from fixtures.servers.s3 import S3Server
from tests.reference_app.cluster import Cluster, cluster, wait_all
from tests.reference_app.conftest import ROOT, Client, until
from tests.reference_app.redis_broker import RedisBroker
from tests.reference_app.stand_in_engine import FILES


@pytest.fixture(scope="module", params=["database", "redis"])
def parts(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    s3: S3Server,
) -> Iterator[tuple[Cluster, Client, Client]]:
    """Two processes with a port and one without, which does one job at a time of two in all.

    A job is announced by the database, or through Redis.
    """
    folder = tmp_path_factory.mktemp(f"scaled-{request.param}")
    by_redis = request.param == "redis"
    queue = {"QUEUE_URL": request.getfixturevalue("broker").database()} if by_redis else {}
    # Beats are rare, so that what comes at once was notified and not found out.
    rare = {"JOB_LEASE_SECONDS": "60", "JOB_BEAT_SECONDS": "20", "QUEUE_POLL_SECONDS": "60"}
    limits = {"MAX_PROCESSING": "2", "MAX_PENDING": "3", "WORKER_SLOTS": "1"}
    with cluster(folder, postgres, s3, **rare, **limits, **queue) as made:
        made.worker()
        first = made.api()
        second = made.api(DOWNLOADS="redirect")
        yield made, first, second


@pytest.fixture
def apis(parts: tuple[Cluster, Client, Client]) -> Iterator[tuple[Client, Client]]:
    """The two ports of a service without jobs."""
    _, first, second = parts
    yield first, second
    for job in first.http.get("/api/jobs").json()["jobs"]:
        first.http.delete(f"/api/cleanup/{job['job_id']}")
    assert first.http.get("/api/jobs").json()["count"] == 0


def test_a_job_that_came_in_here_is_done_elsewhere_and_served_everywhere(
    apis: tuple[Client, Client],
) -> None:
    first, second = apis
    job_id = first.start()
    assert second.wait(job_id)["status"] == "completed"
    streamed = first.http.get(f"/api/download/{job_id}/video")
    assert (streamed.status_code, len(streamed.content)) == (200, 200_000)
    sent_on = second.http.get(f"/api/download/{job_id}/video")
    assert sent_on.status_code == 307
    assert sent_on.headers["cache-control"] == "no-store"
    assert httpx.get(sent_on.headers["location"]).content == streamed.content
    shown = second.http.get(f"/api/serve/{job_id}/{FILES['video']}")
    assert shown.content == streamed.content


def test_a_job_starts_and_tells_of_itself_at_once(apis: tuple[Client, Client]) -> None:
    first, second = apis
    began = time.monotonic()
    job_id = first.start("slow")
    with second.http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
        seen = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert seen[-1]["status"] == "completed"
    assert {"processing", "completed"} <= {view["status"] for view in seen}
    # Nobody would have looked at the queue or the record for a minute.
    assert time.monotonic() - began < 20


def test_the_cancel_of_a_job_that_runs_elsewhere_is_answered_when_it_has_stopped(
    apis: tuple[Client, Client],
) -> None:
    first, second = apis
    job_id = first.start("hold")
    second.wait(job_id, "processing")
    began = time.monotonic()
    assert second.http.post(f"/api/cancel/{job_id}").json()["status"] == "cancelled"
    assert time.monotonic() - began < 4
    assert first.status(job_id)["status"] == "cancelled"


def test_the_limits_are_those_of_the_service_whoever_is_asked(
    parts: tuple[Cluster, Client, Client], apis: tuple[Client, Client]
) -> None:
    first, second = apis
    ids = [apis[number % 2].start("hold") for number in range(4)]
    first.wait(ids[0], "processing")
    refused = second.upload()
    assert (refused.status_code, refused.json()["reason"]) == (503, "queue full")
    assert int(refused.headers["retry-after"]) >= 1
    assert [second.status(one)["queue_position"] for one in ids] == [None, 1, 2, 3]
    # A second machine brings the second slot of two in all; a third brings none.
    extra = [parts[0].worker(), parts[0].worker()]
    first.wait(ids[1], "processing")
    slots = [one["slots"] for one in first.memory()["instances"]]
    assert sorted(slots) == [0, 0, 1, 1, 1]
    assert first.memory()["jobs"]["processing"] == 2
    parts[0].release()
    ends = wait_all(second, ids)
    assert {one["status"] for one in ends.values()} == {"completed"}
    for process in extra:
        process.stop(10)
        assert process.exit_status == 0
    assert len(first.memory()["instances"]) == 3


def test_every_process_of_the_service_is_known_with_its_memory(
    apis: tuple[Client, Client],
) -> None:
    first, _ = apis
    found = first.memory()["instances"]
    assert sorted(one["role"] for one in found) == ["api", "api", "worker"]
    assert all(one["memory_bytes"] > 2**20 for one in found)
    assert all("host" not in one for one in found)
    # As of its last beat, when workers of another test may still have been there.
    known = {"status": "ok", "role": "api", "workers": 1}
    until(lambda: first.http.get("/health").json() == known)
    shown = first.http.get("/monitor/data").json()["instances"]
    assert {one["host"] for one in shown} == {os.uname().nodename}
    metrics = first.http.get("/metrics").text
    assert 'reference_app_instances{role="api"} 2.0' in metrics
    assert metrics.count("reference_app_instance_memory_bytes{") == 3


# -- the start


def start(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the service that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "reference_app", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_tables_are_made_by_a_command_and_no_start_goes_without(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server
) -> None:
    url = postgres.create("empty")
    environment = {
        **s3.environment,
        "DATABASE_URL": url,
        "STORAGE_URL": "s3://clips/empty",
        "SPOOL_DIR": str(tmp_path),
        "ROLE": "worker",
    }
    refused = start(**environment)
    assert refused.returncode == 1
    assert "run `python -m reference_app migrate`" in refused.stderr
    assert "Traceback" not in refused.stderr
    made = start("migrate", **environment)
    assert (made.returncode, made.stdout) == (0, "the tables have version 1 (before: 0)\n")
    postgres.sql("INSERT INTO reference_app.versions VALUES (99)", "empty")
    newer = start(**environment)
    assert newer.returncode == 1
    assert "start the newer service" in newer.stderr
    postgres.drop("empty")


@pytest.mark.slow
def test_a_command_tidies_up_where_no_service_runs(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server
) -> None:
    with cluster(tmp_path, postgres, s3, JOB_TTL_SECONDS="1", EXPIRY_INTERVAL_SECONDS="60") as made:
        client, worker = made.api(), made.worker()
        job_id = client.start()
        assert client.wait(job_id)["status"] == "completed"
        for process in made.processes:
            process.stop(10)
        assert not worker.alive
        assert {key.split("/")[1] for key in made.object_keys()} == {job_id}
        rows = "SELECT count(*) FROM reference_app.jobs"
        assert postgres.sql(rows, made.database_name) == "1\n"
        over = "SELECT max(expires_at) < reference_app.now_seconds() FROM reference_app.jobs"
        until(lambda: postgres.sql(over, made.database_name) == "t\n")
        done = start("tidy", **made.environment, SPOOL_DIR=str(tmp_path / "tidy"))
        assert done.returncode == 0, done.stderr
        assert made.object_keys() == set()
        assert postgres.sql(rows, made.database_name) == "0\n"


def test_jobs_are_taken_in_and_done_while_redis_is_away(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, broker: RedisBroker
) -> None:
    with cluster(tmp_path, postgres, s3, QUEUE_URL=broker.database()) as made:
        client, worker = made.api(), made.worker()
        assert client.http.get("/ready").json() == {"status": "ready", "queue": "answers"}
        broker.stop()
        ready = client.http.get("/ready")
        assert (ready.status_code, ready.json()["queue"]) == (200, "away")
        job_id = client.start()
        # Found by a look at the records, once a second here.
        assert client.wait(job_id)["status"] == "completed"
        refused = start(**made.environment, ROLE="worker", SPOOL_DIR=str(tmp_path / "refused"))
        assert refused.returncode == 1
        (line,) = [one for one in refused.stderr.splitlines() if not one.startswith("{")]
        assert line.startswith("reference_app does not start: the queue cannot be used (")
        broker.start()
        until(lambda: client.http.get("/ready").json()["queue"] == "answers")
        assert worker.alive


def test_a_wrong_queue_is_refused_in_one_line() -> None:
    refused = start(QUEUE_URL="amqp://u:secret@h")
    assert refused.returncode == 1
    assert refused.stderr == (
        "reference_app does not start: QUEUE_URL: Value error, "
        "redis://user:password@host:port/number is needed\n"
    )


def test_what_was_not_announced_is_announced_by_the_sweeper(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, broker: RedisBroker
) -> None:
    rare = {"JOB_LEASE_SECONDS": "300", "JOB_BEAT_SECONDS": "250", "QUEUE_POLL_SECONDS": "300"}
    with cluster(tmp_path, postgres, s3, QUEUE_URL=broker.database(), **rare) as made:
        client = made.api()
        made.worker()
        broker.stop()
        job_id = client.start()
        # `NOTIFY` would have started it by then, as it does where there is no Redis.
        time.sleep(1)
        assert client.status(job_id)["status"] == "pending"
        broker.start()
        assert client.wait(job_id)["status"] == "completed"


def test_a_worker_without_a_free_slot_leaves_announcements_to_another(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, broker: RedisBroker
) -> None:
    rare = {"JOB_LEASE_SECONDS": "300", "JOB_BEAT_SECONDS": "250", "QUEUE_POLL_SECONDS": "300"}
    rare["EXPIRY_INTERVAL_SECONDS"] = "300"
    limits = {"MAX_PROCESSING": "9", "WORKER_SLOTS": "1"}
    with cluster(tmp_path, postgres, s3, QUEUE_URL=broker.database(), **rare, **limits) as made:
        client = made.api()
        made.worker()
        client.wait(client.start("hold"), "processing")
        made.worker(WORKER_SLOTS="8")
        for _ in range(8):
            client.wait(client.start("hold"), "processing")
        made.release()


def test_migrations_at_once_are_one(postgres: PostgresServer) -> None:
    from reference_app.jobs.postgres_schema import SCHEMA_VERSION
    from reference_app.jobs.postgres_store import migrate

    async def both(url: str) -> list[tuple[int, int]]:
        return await asyncio.gather(migrate(url), migrate(url), migrate(url))

    done = asyncio.run(both(postgres.create("at-once")))
    assert sorted(done) == [(0, SCHEMA_VERSION)] + 2 * [(SCHEMA_VERSION, SCHEMA_VERSION)]
    postgres.drop("at-once")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"ROLE": "worker"}, "ROLE=worker needs DATABASE_URL and STORAGE_URL"),
        ({"DATABASE_URL": "postgresql://u:secret@h/d"}, "belong together"),
        ({"DOWNLOADS": "redirect"}, "DOWNLOADS=redirect needs STORAGE_URL"),
        ({"QUEUE_URL": "redis://:secret@h"}, "QUEUE_URL needs DATABASE_URL"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    environment: dict[str, str], reason: str
) -> None:
    from pydantic import ValidationError

    from reference_app.settings import Settings, describe

    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name.lower(): value for name, value in environment.items()})
    assert reason in describe(caught.value)
    assert "secret" not in describe(caught.value)


def test_what_only_does_jobs_loads_no_web_framework_and_the_default_no_clients() -> None:
    program = """if True:
        import sys
        import reference_app.__main__, reference_app.worker_service
        from reference_app.container import ServiceContainer
        optional = {"fastapi", "starlette", "uvicorn", "asyncpg", "obstore", "kombu"}
        print(sorted(optional & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"

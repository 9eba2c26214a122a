"""What breaks on many machines: processes, database, store. Nothing is lost or published twice.

Real components, real signals. What every test counts: each job whose upload was answered with 202
has ended once, as completed with all its files, failed with a reason, or cancelled; nothing else
has files; and no job has run more often than three times.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from fixtures.servers.postgres import PostgresServer
from fixtures.servers.s3 import S3Server
from leak_suite.service_process import ServiceProcess
from tests.reference_app.cluster import AUDIT, Cluster, cluster
from tests.reference_app.conftest import FINAL, Client, until
from tests.reference_app.failing_store import failing_store
from tests.reference_app.stand_in_engine import FILES, clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: How often each kind of process is killed.
KILLS = 10
LIMITS = {"MAX_PENDING": "200", "MAX_PROCESSING": "4", "WORKER_SLOTS": "2"}


@dataclass
class AcceptedJobs:
    """What was accepted, and what became of it."""

    parts: Cluster
    #: By job, what its upload asked for.
    accepted: dict[str, str] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)

    def feed(self, apis: list[Client], stop: threading.Event, chance: random.Random) -> None:
        """Upload, and cancel now and then, until it is to stop; an API that is away is skipped."""
        while not stop.is_set():
            api = chance.choice(apis)
            behaviour = chance.choice(["quick", "slow", "slow", "broken"])
            try:
                answer = api.upload(clip(behaviour))
                if answer.status_code == 202:
                    self.accepted[answer.json()["job_id"]] = behaviour
                else:
                    self.refused[answer.status_code] += 1
                if self.accepted and chance.random() < 0.1:
                    api.http.post(f"/api/cancel/{chance.choice(list(self.accepted))}")
            except httpx.TransportError:
                self.refused[0] += 1
            time.sleep(0.05)

    @contextmanager
    def fed(self, apis: list[Client], seed: int = 1) -> Iterator[None]:
        """Uploads go on for as long as the block lasts."""
        stop = threading.Event()
        feeder = threading.Thread(target=self.feed, args=(apis, stop, random.Random(seed)))
        feeder.start()
        try:
            yield
        finally:
            stop.set()
            feeder.join(120)
        assert not feeder.is_alive()

    def audit(self) -> list[tuple[str, int, str]]:
        """Every change of state that a job has made, in order."""
        rows = self.parts.database.sql(
            "SELECT job_id, attempt, status FROM reference_app.audit", self.parts.database_name
        )
        found = (line.split("|") for line in rows.splitlines())
        return [(job_id, int(attempt), status) for job_id, attempt, status in found]

    def balance(self, api: Client, seconds: float = 60) -> Counter[str]:
        """Wait for the end of all jobs, and compare with what was accepted."""

        def all_ended() -> list[dict[str, Any]] | None:
            found = api.http.get("/api/jobs").json().get("jobs")
            ended = found is not None and all(job["status"] in FINAL for job in found)
            return found if ended else None

        jobs = {job["job_id"]: job for job in until(all_ended, seconds)}
        assert self.accepted
        lost = self.accepted.keys() - jobs.keys()
        assert not lost, "accepted, and unknown now"
        for job_id, job in jobs.items():
            assert (job["status"] == "failed") == bool(job["error"]), job
            if job["status"] == "completed":
                kinds = [api.http.get(f"/api/download/{job_id}/{kind}") for kind in FILES]
                assert [len(one.content) for one in kinds] == [200_000] * len(FILES)
        completed = {job_id for job_id, job in jobs.items() if job["status"] == "completed"}
        changes = self.audit()
        published = Counter(job_id for job_id, _, status in changes if status == "completed")
        assert set(published.values()) <= {1}, "published twice"
        assert max((attempt for _, attempt, _ in changes), default=0) <= 3
        until(lambda: {key.split("/")[1] for key in self.parts.object_keys()} == completed, seconds)
        assert len(self.parts.object_keys()) == len(completed) * len(FILES)
        return Counter(jobs[job_id]["status"] for job_id in self.accepted)


@pytest.fixture
def jobs(tmp_path: Path, postgres: PostgresServer, s3: S3Server) -> Iterator[AcceptedJobs]:
    """A service without processes yet."""
    with opened(tmp_path, postgres, s3) as made:
        yield made


@contextmanager
def opened(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, **environment: str
) -> Iterator[AcceptedJobs]:
    folder = tmp_path / "scaled"
    folder.mkdir()
    with cluster(folder, postgres, s3, **{**LIMITS, **environment}) as parts:
        postgres.sql(AUDIT, parts.database_name)
        yield AcceptedJobs(parts)


def kill(process: ServiceProcess) -> None:
    """End it and nothing else at once; what it started has to notice."""
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def test_workers_that_are_killed_at_any_moment(jobs: AcceptedJobs, record_property: Any) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    chance = random.Random(seed)
    apis = [jobs.parts.api()]
    jobs.parts.worker()
    with jobs.fed(apis, seed):
        for _ in range(KILLS):
            doomed = jobs.parts.worker()
            time.sleep(chance.uniform(0.0, 1.5))
            kill(doomed)
    ends = jobs.balance(apis[0])
    assert ends["completed"] > 0, (seed, ends)


def test_job_processes_that_are_killed_at_any_moment(
    jobs: AcceptedJobs, record_property: Any
) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    chance = random.Random(seed)
    apis = [jobs.parts.api()]
    worker = jobs.parts.worker(WORKERS="process")
    killed = 0
    with jobs.fed(apis, seed):
        deadline = time.monotonic() + 240
        while killed < KILLS and time.monotonic() < deadline:
            found = [
                job for child in psutil.Process(worker.pid).children() for job in child.children()
            ]
            for job in found[:1]:
                time.sleep(chance.uniform(0.0, 0.3))
                try:
                    job.kill()
                    killed += 1
                except psutil.NoSuchProcess:
                    pass
            time.sleep(0.02)
    assert killed == KILLS
    assert worker.alive
    ends = jobs.balance(apis[0], 180)
    assert ends["failed"] > 0, (seed, ends)


def test_ports_that_are_killed_at_any_moment(jobs: AcceptedJobs, record_property: Any) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    chance = random.Random(seed)
    jobs.parts.worker()
    lasting = jobs.parts.api()
    for _ in range(KILLS):
        doomed = jobs.parts.api()
        process = jobs.parts.processes[-1]
        with jobs.fed([doomed], chance.randrange(1 << 30)):
            time.sleep(chance.uniform(0.0, 1.0))
            kill(process)
    ends = jobs.balance(lasting)
    assert ends["completed"] > 0, (seed, ends)


@pytest.mark.parametrize(
    ("lease", "stopped"), [(3.0, 8.0), (30.0, 60.0)], ids=["seconds", "as shipped"]
)
def test_a_worker_that_was_stopped_publishes_nothing_when_it_goes_on(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, lease: float, stopped: float
) -> None:
    beats = {"JOB_LEASE_SECONDS": str(lease), "JOB_BEAT_SECONDS": str(lease / 6)}
    with opened(tmp_path, postgres, s3, **beats) as jobs:
        parts = jobs.parts
        api = parts.api()
        sleeper = parts.worker()
        job_id = api.start("hold")
        jobs.accepted[job_id] = "hold"
        api.wait(job_id, "processing")
        sleeper.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        parts.worker()
        # Both are let go on: whoever may publish does, and the sleeper has all it needs to do so.
        until(lambda: "Attempt 2" in api.status(job_id)["message"], 60 + lease)
        assert time.monotonic() - began <= 60, "taken over within a minute"
        parts.release()
        until(lambda: api.status(job_id)["status"] == "completed", 60)
        time.sleep(max(0.0, stopped - (time.monotonic() - began)))
        sleeper.send_signal(signal.SIGCONT)
        # It takes the next job when it is done with the old one.
        more = [api.start() for _ in range(4)]
        jobs.accepted |= dict.fromkeys(more, "quick")
        assert jobs.balance(api)["completed"] == 5
        assert sleeper.alive
        ends = [row for row in jobs.audit() if row[0] == job_id]
        assert ends == [
            (job_id, 1, "processing"),
            (job_id, 1, "pending"),
            (job_id, 2, "processing"),
            (job_id, 2, "completed"),
        ]


def test_a_database_that_is_killed_and_comes_back(jobs: AcceptedJobs) -> None:
    parts = jobs.parts
    apis = [parts.api(), parts.api()]
    for _ in range(2):
        parts.worker()
    with jobs.fed(apis):
        for away in (0.0, 2.0, 6.0):
            time.sleep(2)
            parts.database.stop()
            time.sleep(away)
            assert apis[0].http.get("/health").status_code == 200
            parts.database.start()
        before = len(jobs.accepted)
        until(lambda: len(jobs.accepted) > before, 60)
    ends = jobs.balance(apis[0])
    assert ends["completed"] > 0, ends
    assert set(jobs.refused) <= {503}, "away is not broken"


@pytest.mark.parametrize("fault", [500, 503, "slow"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "POST"])
def test_a_store_that_fails_on_a_kind_of_call(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server, method: str, fault: int | str
) -> None:
    with failing_store(s3.endpoint) as store:
        behind = replace(s3, endpoint=store.endpoint)
        with opened(tmp_path, postgres, behind) as jobs:
            api = jobs.parts.api()
            jobs.parts.worker()
            with jobs.fed([api]):
                time.sleep(1)
                answer = 2.0 if isinstance(fault, str) else fault
                store.fault = lambda called, _path: answer if called == method else None
                time.sleep(4)
                store.fault = lambda _method, _path: None
                time.sleep(1)
            if method != "DELETE":  # Nobody deletes one by one.
                assert store.failed, "the fault was not met"
            # A call that fails is tried again for half a minute.
            ends = jobs.balance(api, 120)
            assert ends["completed"] > 0, ends
            assert set(jobs.refused) <= {503}


def test_hints_that_come_twice_and_for_nothing(jobs: AcceptedJobs) -> None:
    parts = jobs.parts
    api = parts.api()
    for _ in range(2):
        parts.worker()
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            parts.database.sql(
                "SELECT pg_notify('reference_app', job_id || ' pending f'),"
                " pg_notify('reference_app', 'nobody pending f') FROM reference_app.jobs",
                parts.database_name,
            )

    echo = threading.Thread(target=repeat)
    echo.start()
    try:
        with jobs.fed([api]):
            time.sleep(5)
    finally:
        stop.set()
        echo.join(30)
    ends = jobs.balance(api)
    assert ends["completed"] > 0
    assert {attempt for _, attempt, _ in jobs.audit()} <= {0, 1}, "nothing ran twice"


def test_sweepers_that_all_believe_to_have_the_turn(
    tmp_path: Path, postgres: PostgresServer, s3: S3Server
) -> None:
    with opened(tmp_path, postgres, s3, EXPIRY_INTERVAL_SECONDS="0.1") as jobs:
        parts = jobs.parts
        apis = [parts.api(), parts.api()]
        parts.worker()
        parts.worker()
        stop = threading.Event()

        def forget() -> None:
            while not stop.is_set():
                parts.database.sql("DELETE FROM reference_app.turns", parts.database_name)

        thread = threading.Thread(target=forget)
        thread.start()
        try:
            with jobs.fed(apis):
                time.sleep(6)
        finally:
            stop.set()
            thread.join(30)
        ends = jobs.balance(apis[0])
        assert ends["completed"] > 0

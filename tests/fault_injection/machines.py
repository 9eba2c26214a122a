"""Faults of processes, links, servers, disks and clocks, each with an account of accepted jobs.

`python -m tests.fault_injection.machines SEED ROUNDS [NAME ...]` prints a row for each fault: every
job whose upload was answered with 202 has ended once, and objects and rows agree. Both forms of the
service, with real processes, signals, PostgreSQL and S3 server. What a job does is the short
program of `tests.reference_app.stand_in`; the faults named "real" take the real pipeline.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import psutil

import fixtures.clips
from tests.fault_injection.links import link, to_host, to_socket
from tests.reference_app import cluster as clusters
from tests.reference_app.cluster import QUICK, Cluster, cluster
from tests.reference_app.conftest import FINAL, Client, Server, served
from tests.reference_app.failing_store import failing_store
from tests.reference_app.postgres import PostgresServer, postgres_server
from tests.reference_app.s3 import S3Server, s3_server
from tests.reference_app.stand_in import FILES, clip

__all__ = ["FAULTS", "Account", "Place", "run"]

#: Few places in the queue, so that the time until all is over is that of the fault.
LIMITS = {"MAX_PENDING": "12", "MAX_PROCESSING": "4", "WORKER_SLOTS": "2"}
#: What a recovery may take, and a job may be tried.
RECOVERY_SECONDS, ATTEMPTS = 60.0, 3
#: An hour too late or too early, for the Python code of one process.
_CLOCK = "import time\n_true = time.time\ntime.time = lambda: _true() + {ahead}\n"
_AUDIT = """
CREATE TABLE reference_app.audit (job_id text, attempt integer, status text);
CREATE FUNCTION reference_app.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO reference_app.audit VALUES (NEW.job_id, NEW.attempt, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER noted AFTER UPDATE ON reference_app.jobs FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION reference_app.note();
"""
_AUDIT_SQLITE = """
CREATE TABLE audit (job_id TEXT, attempt INTEGER, status TEXT);
CREATE TRIGGER noted AFTER UPDATE ON jobs WHEN OLD.status IS NOT NEW.status
BEGIN INSERT INTO audit VALUES (NEW.job_id, NEW.attempt, NEW.status); END;
"""

Jobs = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Account:
    """What became of the accepted jobs of one fault."""

    fault: str
    rounds: int
    accepted: int
    completed: int
    failed: int
    cancelled: int
    #: Accepted, and unknown or without an end or a reason.
    lost: int
    twice: int
    #: Jobs that have files and should not, after the sweep.
    strays: int
    #: Completed jobs that lack a file.
    bare: int
    attempts: int
    recovery: float

    @property
    def wrong(self) -> list[str]:
        """The bars that were missed."""
        bars = {
            "nothing was accepted": self.accepted == 0,
            "nothing was completed": self.completed == 0,
            "the sum is not what was accepted": self.accepted
            != self.completed + self.failed + self.cancelled,
            "lost": self.lost > 0,
            "published twice": self.twice > 0,
            "objects without a row": self.strays > 0,
            "rows without an object": self.bare > 0,
            "too many attempts": self.attempts > ATTEMPTS,
            "recovered too late": self.recovery > RECOVERY_SECONDS,
        }
        return [name for name, missed in bars.items() if missed]

    def row(self) -> str:
        """A row of the table."""
        values = (self.accepted, self.completed, self.failed, self.cancelled, self.lost)
        values += (self.twice, self.strays, self.bare, self.attempts)
        cells = [self.fault, str(self.rounds), *map(str, values), f"{self.recovery:.0f}"]
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| fault | times | accepted | completed | failed with a reason | cancelled | lost "
    "| published twice | objects without a row | rows without an object | most attempts "
    "| seconds until all was over |\n| --- |" + " ---: |" * 11
)


@dataclass
class Place:
    """The service under fault: what it took in, and how its rows and objects are read."""

    changes: Callable[[], list[tuple[str, int, str]]]
    objects: Callable[[], dict[str, set[str]]]
    #: Of one instruction or another, or of a real clip.
    contents: tuple[bytes, ...] = tuple(clip(one) for one in ("quick", "slow", "slow", "broken"))
    pause: float = 0.05
    accepted: set[str] = field(default_factory=set)
    refused: Counter[int] = field(default_factory=Counter)
    files: int = len(FILES)

    @contextmanager
    def fed(self, apis: Iterable[Client], chance: random.Random) -> Iterator[None]:
        """Uploads, and a cancel now and then, for as long as the block lasts."""
        stop = threading.Event()
        own = random.Random(chance.randrange(1 << 30))

        def feed() -> None:
            while not stop.wait(self.pause):
                api = own.choice(list(apis))
                try:
                    answer = api.upload(own.choice(self.contents))
                    if answer.status_code == 202:
                        self.accepted.add(answer.json()["job_id"])
                    else:
                        self.refused[answer.status_code] += 1
                    if self.accepted and own.random() < 0.1:
                        api.http.post(f"/api/cancel/{own.choice(sorted(self.accepted))}")
                except httpx.TransportError:
                    self.refused[0] += 1

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield
        finally:
            stop.set()
            feeder.join(120)
        assert not feeder.is_alive()

    def account(self, fault: str, rounds: int, api: Client) -> Account:
        """Wait until all jobs are over and rows and objects agree, and count."""
        began = time.monotonic()
        deadline = began + 2 * RECOVERY_SECONDS
        while True:
            jobs = _jobs(api)
            done = {name for name, job in jobs.items() if job["status"] == "completed"}
            found = self.objects()
            over = bool(jobs) and all(job["status"] in FINAL for job in jobs.values())
            if (over and found.keys() == done) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        recovery = time.monotonic() - began
        ends = Counter(jobs[name]["status"] for name in self.accepted & jobs.keys())
        reasoned = sum(
            1 for name in self.accepted & jobs.keys() if jobs[name]["status"] == "failed"
            and jobs[name]["error"]
        )  # fmt: skip
        changes = self.changes()
        published = Counter(name for name, _, status in changes if status == "completed")
        return Account(
            fault,
            rounds,
            accepted=len(self.accepted),
            completed=ends["completed"],
            failed=reasoned,
            cancelled=ends["cancelled"],
            lost=len(self.accepted) - ends["completed"] - reasoned - ends["cancelled"],
            twice=sum(times > 1 for times in published.values()),
            strays=len(found.keys() - done),
            bare=sum(len(found.get(name, ())) < self.files for name in done),
            attempts=max((attempt for _, attempt, _ in changes), default=0),
            recovery=recovery,
        )


def _jobs(api: Client) -> Jobs:
    with suppress(httpx.TransportError):
        return {job["job_id"]: job for job in api.http.get("/api/jobs").json().get("jobs", ())}
    return {}


@dataclass
class Servers:
    """Where the scaled form keeps things, and a folder for a fault."""

    folder: Path
    #: None where only the form on one machine is asked for, which needs no servers.
    postgres: PostgresServer = None  # type: ignore[assignment]
    s3: S3Server = None  # type: ignore[assignment]


@dataclass
class Scaled(Place):
    """The form on more than one machine."""

    parts: Cluster = field(kw_only=True)


@contextmanager
def scaled(servers: Servers, **environment: str) -> Iterator[Scaled]:
    """A service without processes yet."""
    folder = Path(tempfile.mkdtemp(prefix="machines-", dir=servers.folder))
    with cluster(folder, servers.postgres, servers.s3, **{**LIMITS, **environment}) as parts:
        servers.postgres.sql(_AUDIT, parts.database_name)

        def changes() -> list[tuple[str, int, str]]:
            text = servers.postgres.sql(
                "SELECT job_id, attempt, status FROM reference_app.audit", parts.database_name
            )
            rows = (line.split("|") for line in text.splitlines())
            return [(name, int(attempt), status) for name, attempt, status in rows]

        def objects() -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for key in parts.object_keys():
                found.setdefault(key.split("/")[1], set()).add(key)
            return found

        yield Scaled(changes, objects, parts=parts)


def _watched(spool: Path) -> None:
    """Note every change of state in the embedded database from now on."""
    (database,) = _databases(spool)
    with sqlite3.connect(database, timeout=10) as db:
        db.executescript(_AUDIT_SQLITE)


def _databases(spool: Path) -> list[Path]:
    return [
        path for path in spool.glob("instance-0/*")
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"
    ]  # fmt: skip


def _kill(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def _kill_jobs(place: Place, tree: Callable[[], list[psutil.Process]], chance: random.Random,
               rounds: int) -> None:  # fmt: skip
    """Kill processes that do a job, each at some moment of its life."""
    killed, deadline = 0, time.monotonic() + 20 * rounds + 60
    while killed < rounds:
        assert time.monotonic() < deadline, f"{killed} job processes met"
        with suppress(psutil.NoSuchProcess):
            for job in tree()[:1]:
                time.sleep(chance.uniform(0.0, 0.3))
                job.kill()
                killed += 1
        time.sleep(0.02)


def _grandchildren(pid: int) -> list[psutil.Process]:
    return [job for child in psutil.Process(pid).children() for job in child.children()]


# -- many machines


def workers_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the parent of a worker at any moment; another one lives on."""
    with scaled(servers) as place:
        api = place.parts.api()
        place.parts.worker()
        with place.fed([api], chance):
            for _ in range(rounds):
                doomed = place.parts.worker()
                time.sleep(chance.uniform(0.0, 1.5))
                _kill(doomed)
        return place.account("worker killed", rounds, api)


def jobs_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the process of one job."""
    with scaled(servers) as place:
        api = place.parts.api()
        worker = place.parts.worker(WORKERS="process")
        with place.fed([api], chance):
            _kill_jobs(place, lambda: _grandchildren(worker.pid), chance, rounds)
        return place.account("job process killed", rounds, api)


def apis_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of a process with a port."""
    with scaled(servers) as place:
        lasting = place.parts.api()
        place.parts.worker()
        for _ in range(rounds):
            doomed = place.parts.api()
            with place.fed([doomed], chance):
                time.sleep(chance.uniform(0.0, 1.0))
                _kill(place.parts.processes[-1])
        return place.account("API killed", rounds, lasting)


def worker_stopped(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGSTOP beyond the lease, then SIGCONT: the late worker must not publish."""
    with scaled(servers) as place:
        api = place.parts.api()
        place.parts.worker()
        sleeper = place.parts.worker()
        with place.fed([api], chance):
            for _ in range(min(rounds, 5)):
                time.sleep(chance.uniform(0.5, 1.5))
                sleeper.send_signal(signal.SIGSTOP)
                time.sleep(5)
                sleeper.send_signal(signal.SIGCONT)
        return place.account("worker stopped for 5 s, lease 3 s", min(rounds, 5), api)


def worker_stopped_as_shipped(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """The same for a minute, with the lease and the beats of the service as it is shipped."""
    shipped = {"JOB_LEASE_SECONDS": "30", "JOB_BEAT_SECONDS": "5"}
    with scaled(servers, **shipped) as place:
        api = place.parts.api()
        place.parts.worker()
        sleeper = place.parts.worker()
        with place.fed([api], chance):
            time.sleep(chance.uniform(1, 2))
            sleeper.send_signal(signal.SIGSTOP)
            time.sleep(60)
            sleeper.send_signal(signal.SIGCONT)
        return place.account("worker stopped for 60 s, lease 30 s", 1, api)


def _link_down(servers: Servers, chance: random.Random, seconds: float, name: str) -> Account:
    with scaled(servers) as place, ExitStack() as stack:
        parts = place.parts
        if "store" in name:
            made = stack.enter_context(link(to_host(servers.s3.endpoint)))
            change = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{made.port}"}
        else:
            made = stack.enter_context(
                link(to_socket(str(servers.postgres.folder / ".s.PGSQL.5432")))
            )
            database = f"{parts.database_name}?sslmode=disable"
            change = {"DATABASE_URL": f"postgresql://service@127.0.0.1:{made.port}/{database}"}
        api = parts.api()
        parts.worker()
        apis = [api]
        if name.startswith("API"):
            apis.append(parts.api(**change))
        else:
            parts.worker(**change)
        with place.fed(apis, chance):
            time.sleep(chance.uniform(0.5, 1.5))
            with made.down():
                time.sleep(seconds)
        return place.account(f"link down for {seconds:.0f} s: {name}", 1, api)


def link_worker_database(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Nothing passes between one of two workers and the database."""
    return _link_down(servers, chance, 20 if rounds > 1 else 4, "worker and database")


def link_worker_store(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Nothing passes between one of two workers and the store."""
    return _link_down(servers, chance, 20 if rounds > 1 else 4, "worker and store")


def link_api_database(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Nothing passes between one of two processes with a port and the database."""
    return _link_down(servers, chance, 20 if rounds > 1 else 4, "API and database")


def database_restarted(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """The server is killed, and is back at once or after some seconds."""
    with scaled(servers) as place:
        api = place.parts.api()
        place.parts.worker()
        place.parts.worker()
        times = min(rounds, 5)
        with place.fed([api], chance):
            for _ in range(times):
                time.sleep(chance.uniform(0.5, 2))
                servers.postgres.stop()
                time.sleep(chance.choice([0, 2, 6]))
                servers.postgres.start()
            time.sleep(2)
        return place.account("database killed and started", times, api)


def store_fails(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """500, 503 and two seconds of waiting, on each kind of call for three seconds."""
    kinds = [
        (method, answer) for method in ("PUT", "GET", "POST", "DELETE", "HEAD")
        for answer in (500, 503, 2.0)
    ]  # fmt: skip
    chance.shuffle(kinds)
    with failing_store(servers.s3.endpoint) as store:
        behind = Servers(
            servers.folder, servers.postgres, replace(servers.s3, endpoint=store.endpoint)
        )
        with scaled(behind) as place:
            api = place.parts.api()
            place.parts.worker()
            with place.fed([api], chance):
                chosen = kinds[: max(rounds, 1)] if rounds < len(kinds) else kinds
                for method, answer in chosen:
                    store.fault = lambda called, _, m=method, a=answer: a if called == m else None
                    time.sleep(3)
                    store.fault = lambda _method, _path: None
                    time.sleep(1)
            met = ", ".join(sorted(store.failed))
            return place.account(f"store fails (met: {met})", len(chosen), api)


@contextmanager
def _small_disk(servers: Servers) -> Iterator[Path]:
    """A disk of 16 MiB of its own; needs the right to mount."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=servers.folder))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Not a byte of the disk is free until the block ends."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    try:
        yield
    finally:
        filler.unlink()


def disk_full(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """No space on the disk of a worker and of a process with a port."""
    with _small_disk(servers) as disk, scaled(servers) as place:
        on_disk = {"ALLOW_SPOOL_ON_TMPFS": "1"}
        api = place.parts.api()
        small = place.parts.api(SPOOL_DIR=str(disk / "api"), **on_disk)
        place.parts.worker()
        place.parts.worker(SPOOL_DIR=str(disk / "worker"), **on_disk)
        times = min(rounds, 5)
        with place.fed([api, small], chance):
            for _ in range(times):
                time.sleep(chance.uniform(0.5, 1.5))
                with _full(disk):
                    time.sleep(3)
        return place.account("disk full for 3 s: worker and API", times, api)


def clocks_off(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """A worker an hour early, another one late, and a process with a port an hour early."""
    early, late = (_clock(servers, ahead) for ahead in (3600, -3600))
    with scaled(servers) as place:
        apis = [place.parts.api(), place.parts.api(**early)]
        place.parts.worker(**early)
        place.parts.worker(**late)
        with place.fed(apis, chance):
            time.sleep(10 if rounds > 1 else 2)
        return place.account("clocks off by an hour", 1, apis[0])


def _clock(servers: Servers, ahead: int) -> dict[str, str]:
    folder = Path(tempfile.mkdtemp(prefix="clock-", dir=servers.folder))
    (folder / "sitecustomize.py").write_text(_CLOCK.format(ahead=ahead))
    return {"PYTHONPATH": str(folder)}


def _meanwhile(place: Scaled, statement: str, apis: list[Client], chance: random.Random,
               seconds: float) -> None:  # fmt: skip
    """Feed while a statement is repeated in the database."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            place.parts.database.sql(statement, place.parts.database_name)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        with place.fed(apis, chance):
            time.sleep(seconds)
    finally:
        stop.set()
        thread.join(30)


def hints_twice(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Every job is announced again and again, and jobs that nobody knows."""
    with scaled(servers) as place:
        api = place.parts.api()
        place.parts.worker()
        place.parts.worker()
        again = (
            "SELECT pg_notify('reference_app', job_id || ' pending f'),"
            " pg_notify('reference_app', 'nobody pending f') FROM reference_app.jobs"
        )
        _meanwhile(place, again, [api], chance, 8 if rounds > 1 else 2)
        return place.account("delivered again and again", 1, api)


def two_sweepers(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Whose turn it is to tidy up is forgotten again and again, so all do it at once."""
    with scaled(servers, EXPIRY_INTERVAL_SECONDS="0.1") as place:
        apis = [place.parts.api(), place.parts.api()]
        place.parts.worker()
        place.parts.worker()
        forget = "DELETE FROM reference_app.turns"
        _meanwhile(place, forget, apis, chance, 8 if rounds > 1 else 2)
        return place.account("four sweepers at once", 1, apis[0])


# -- one machine


@contextmanager
def _spool(servers: Servers, place_on: Path | None = None) -> Iterator[tuple[Path, Place]]:
    folder = place_on or Path(tempfile.mkdtemp(prefix="embedded-", dir=servers.folder))
    spool = folder / "spool"

    def changes() -> list[tuple[str, int, str]]:
        (database,) = _databases(spool)
        with sqlite3.connect(database, timeout=10) as db:
            return db.execute("SELECT job_id, attempt, status FROM audit").fetchall()

    yield spool, Place(changes, Client(httpx.Client(), spool).owners)


@contextmanager
def _service(spool: Path, **environment: str) -> Iterator[Server]:
    fresh = not (spool / "instance-0").exists()
    with served(spool, **{**QUICK, **LIMITS, "MAX_PROCESSING": "2", **environment}) as server:
        if fresh:
            _watched(spool)
        yield server


def embedded_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the service at any moment, and a new start on the same folder."""
    with _spool(servers) as (spool, place):
        for _ in range(rounds):
            with _service(spool) as server, place.fed([server], chance):
                time.sleep(chance.uniform(0.0, 1.5))
                server.kill()
        with _service(spool) as server:
            return place.account("one machine: service killed and started", rounds, server)


def embedded_jobs_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the process of one job."""
    with _spool(servers) as (spool, place), _service(spool, WORKERS="process") as server:
        with place.fed([server], chance):
            _kill_jobs(place, server.workers, chance, rounds)
        return place.account("one machine: job process killed", rounds, server)


def embedded_stopped(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGSTOP of the service beyond its own lease, then SIGCONT."""
    with _spool(servers) as (spool, place), _service(spool) as server:
        times = min(rounds, 5)
        with place.fed([server], chance):
            for _ in range(times):
                time.sleep(chance.uniform(0.5, 1.5))
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(5)
                server.process.send_signal(signal.SIGCONT)
        return place.account("one machine: service stopped for 5 s, lease 3 s", times, server)


def embedded_disk_full(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """No space on the disk that holds the database, the objects and the uploads."""
    with _small_disk(servers) as disk, _spool(servers, disk) as (spool, place):
        # Finished jobs make room, and are then no longer asked for.
        place.contents = tuple(clip(one) for one in ("slow", "broken", "broken"))
        place.pause = 0.4
        with _service(spool, ALLOW_SPOOL_ON_TMPFS="1") as server:
            times = min(rounds, 2)
            with place.fed([server], chance):
                for _ in range(times):
                    time.sleep(chance.uniform(0.5, 1.5))
                    with _full(disk):
                        time.sleep(3)
            return place.account("one machine: disk full for 3 s", times, server)


def embedded_clock(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Each start, after a SIGKILL, on a clock that is an hour early, right, or late."""
    with _spool(servers) as (spool, place):
        times = min(rounds, 6)
        for ahead in [(3600, 0, -3600)[number % 3] for number in range(times)]:
            lasting = {"JOB_TTL_SECONDS": "36000", **_clock(servers, ahead)}
            with _service(spool, **lasting) as server, place.fed([server], chance):
                time.sleep(chance.uniform(0.5, 1.5))
                server.kill()
        with _service(spool, JOB_TTL_SECONDS="36000") as server:
            return place.account("one machine: clock off by an hour", times, server)


# -- the real pipeline


def _real(place: Place) -> None:
    made = fixtures.clips.clip(width=320, height=240, seconds=2)
    place.contents = (made.path.read_bytes(),)
    place.pause = 0.5


def real_workers_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the parent of a worker while MediaPipe runs."""
    command = [sys.executable, "-m", "reference_app"]
    with patch.object(clusters, "_WORKER", command), scaled(servers, WORKERS="process") as place:
        _real(place)
        api = place.parts.api()
        place.parts.worker(WORKER_SLOTS="1")
        times = min(rounds, 3)
        with place.fed([api], chance):
            for _ in range(times):
                doomed = place.parts.worker(WORKER_SLOTS="1")
                time.sleep(chance.uniform(1.0, 5.0))
                _kill(doomed)
        return place.account("real pipeline: worker killed", times, api)


Fault = Callable[[Servers, random.Random, int], Account]
FAULTS: dict[str, Fault] = {
    one.__name__: one
    for one in (
        workers_killed, jobs_killed, apis_killed, worker_stopped, worker_stopped_as_shipped,
        link_worker_database, link_worker_store, link_api_database, database_restarted,
        store_fails, disk_full, clocks_off, hints_twice, two_sweepers, embedded_killed,
        embedded_jobs_killed, embedded_stopped, embedded_disk_full, embedded_clock,
        real_workers_killed,
    )
}  # fmt: skip


@contextmanager
def servers_in(folder: Path) -> Iterator[Servers]:
    """A database and a store, until the block ends."""
    with postgres_server() as postgres, s3_server(folder / "s3") as s3:
        yield Servers(folder, postgres, s3)


def run(name: str, servers: Servers, seed: int, rounds: int) -> Account:
    """One fault; the same moments for the same seed."""
    return FAULTS[name](servers, random.Random(f"{seed}/{name}"), rounds)


def main(words: list[str]) -> int:
    """Print the table; 1 where a bar was missed."""
    seed, rounds = int(words[0]), int(words[1])
    missed = 0
    print(f"seed {seed}, {rounds} rounds\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="machines-") as folder:
        names = words[2:] or list(FAULTS)
        alone = all(name.startswith("embedded") for name in names)
        opened = servers_in(Path(folder)) if not alone else nullcontext(Servers(Path(folder)))
        with opened as servers:
            for name in names:
                try:
                    account = run(name, servers, seed, rounds)
                except Exception as error:  # The other faults are still of interest.
                    missed += 1
                    print(f"ENDED by {name}: {error!r}"[:2000], flush=True)
                    continue
                print(account.row(), flush=True)
                for wrong in account.wrong:
                    missed += 1
                    print(f"MISSED by {name}: {wrong}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

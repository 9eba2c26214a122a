"""Faults of the service on several machines: processes, links, servers, disks and clocks."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import psutil

import fixtures.clips
from fixtures.servers.postgres import PostgresServer
from tests.fault_injection.accounts import (
    LIMITS,
    Account,
    Place,
    Servers,
    clock,
    fill,
    kill,
    kill_jobs,
    small_disk,
)
from tests.fault_injection.links import link, to_host, to_socket
from tests.reference_app import cluster as clusters
from tests.reference_app.cluster import AUDIT, Cluster, cluster
from tests.reference_app.conftest import Client
from tests.reference_app.failing_store import failing_store
from tests.reference_app.redis_broker import RedisBroker, redis_broker

__all__ = [
    "apis_killed",
    "clocks_off",
    "database_restarted",
    "disk_full",
    "hints_twice",
    "jobs_killed",
    "link_api_database",
    "link_worker_database",
    "link_worker_store",
    "real_workers_killed",
    "redis_delivers_twice",
    "redis_restarted",
    "store_fails",
    "two_sweepers",
    "worker_stopped",
    "worker_stopped_as_shipped",
    "workers_killed",
]


@dataclass
class Scaled(Place):
    """The form on more than one machine."""

    parts: Cluster = field(kw_only=True)


@contextmanager
def scaled(servers: Servers, **environment: str) -> Iterator[Scaled]:
    """A service without processes yet."""
    folder = Path(tempfile.mkdtemp(prefix="machines-", dir=servers.folder))
    with cluster(folder, servers.postgres, servers.s3, **{**LIMITS, **environment}) as parts:
        servers.postgres.sql(AUDIT, parts.database_name)

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


def _grandchildren(pid: int) -> list[psutil.Process]:
    return [job for child in psutil.Process(pid).children() for job in child.children()]


def workers_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the parent of a worker at any moment; another one lives on."""
    with scaled(servers) as place:
        api = place.parts.api()
        place.parts.worker()
        with place.fed([api], chance):
            for _ in range(rounds):
                doomed = place.parts.worker()
                time.sleep(chance.uniform(0.0, 1.5))
                kill(doomed)
        return place.account("worker killed", rounds, api)


def jobs_killed(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """SIGKILL of the process of one job."""
    with scaled(servers) as place:
        api = place.parts.api()
        worker = place.parts.worker(WORKERS="process")
        with place.fed([api], chance):
            kill_jobs(place, lambda: _grandchildren(worker.pid), chance, rounds)
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
                kill(place.parts.processes[-1])
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


def _server_restarted(
    place: Scaled,
    server: PostgresServer | RedisBroker,
    name: str,
    chance: random.Random,
    rounds: int,
) -> Account:
    api = place.parts.api()
    place.parts.worker()
    place.parts.worker()
    times = min(rounds, 5)
    with place.fed([api], chance):
        for _ in range(times):
            time.sleep(chance.uniform(0.5, 2))
            server.stop()
            time.sleep(chance.choice([0, 2, 6]))
            server.start()
        time.sleep(2)
    return place.account(name, times, api)


def database_restarted(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """The server is killed, and is back at once or after some seconds."""
    with scaled(servers) as place:
        return _server_restarted(
            place, servers.postgres, "database killed and started", chance, rounds
        )


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


def disk_full(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """No space on the disk of a worker and of a process with a port."""
    with small_disk(servers) as disk, scaled(servers) as place:
        on_disk = {"ALLOW_SPOOL_ON_TMPFS": "1"}
        api = place.parts.api()
        small = place.parts.api(SPOOL_DIR=str(disk / "api"), **on_disk)
        place.parts.worker()
        place.parts.worker(SPOOL_DIR=str(disk / "worker"), **on_disk)
        times = min(rounds, 5)
        with place.fed([api, small], chance):
            fill(disk, chance, times)
        return place.account("disk full for 3 s: worker and API", times, api)


def clocks_off(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """A worker an hour early, another one late, and a process with a port an hour early."""
    early, late = (clock(servers, ahead) for ahead in (3600, -3600))
    with scaled(servers) as place:
        apis = [place.parts.api(), place.parts.api(**early)]
        place.parts.worker(**early)
        place.parts.worker(**late)
        with place.fed(apis, chance):
            time.sleep(10 if rounds > 1 else 2)
        return place.account("clocks off by an hour", 1, apis[0])


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


# Without a message from Redis a job is found late: what is lost has to be announced again.
_BY_REDIS = {"QUEUE_POLL_SECONDS": "30"}


def redis_restarted(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Redis ends, with all that it held, and is back at once or after some seconds."""
    with redis_broker() as broker, scaled(servers, QUEUE_URL=broker.url, **_BY_REDIS) as place:
        return _server_restarted(
            place, broker, "Redis ended and started, all forgotten", chance, rounds
        )


def redis_delivers_twice(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """What lies in Redis lies there four times, again and again."""
    with redis_broker() as broker, scaled(servers, QUEUE_URL=broker.url, **_BY_REDIS) as place:
        api = place.parts.api()
        place.parts.worker()
        place.parts.worker()
        stop = threading.Event()
        copied = threading.Thread(target=broker.repeat, args=(stop,))
        copied.start()
        try:
            with place.fed([api], chance):
                time.sleep(8 if rounds > 1 else 2)
        finally:
            stop.set()
            copied.join(30)
        return place.account("Redis delivers again and again", 1, api)


def two_sweepers(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Whose turn it is to tidy up is forgotten again and again, so all do it at once."""
    with scaled(servers, EXPIRY_INTERVAL_SECONDS="0.1") as place:
        apis = [place.parts.api(), place.parts.api()]
        place.parts.worker()
        place.parts.worker()
        forget = "DELETE FROM reference_app.turns"
        _meanwhile(place, forget, apis, chance, 8 if rounds > 1 else 2)
        return place.account("four sweepers at once", 1, apis[0])


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
                kill(doomed)
        return place.account("real pipeline: worker killed", times, api)

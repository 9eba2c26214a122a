"""Faults of the service on one machine: kills, stops, a full disk, a clock that is off."""

from __future__ import annotations

import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.fault_injection.accounts import (
    LIMITS,
    Account,
    Place,
    Servers,
    clock,
    databases,
    fill,
    kill_jobs,
    small_disk,
    watched,
)
from tests.reference_app.cluster import QUICK
from tests.reference_app.conftest import Client, Server, served
from tests.reference_app.stand_in_engine import clip

__all__ = [
    "embedded_clock",
    "embedded_disk_full",
    "embedded_jobs_killed",
    "embedded_killed",
    "embedded_stopped",
]


@contextmanager
def _spool(servers: Servers, place_on: Path | None = None) -> Iterator[tuple[Path, Place]]:
    folder = place_on or Path(tempfile.mkdtemp(prefix="embedded-", dir=servers.folder))
    spool = folder / "spool"

    def changes() -> list[tuple[str, int, str]]:
        (database,) = databases(spool)
        with sqlite3.connect(database, timeout=10) as db:
            return db.execute("SELECT job_id, attempt, status FROM audit").fetchall()

    yield spool, Place(changes, Client(httpx.Client(), spool).owners)


@contextmanager
def _service(spool: Path, **environment: str) -> Iterator[Server]:
    fresh = not (spool / "instance-0").exists()
    with served(spool, **{**QUICK, **LIMITS, "MAX_PROCESSING": "2", **environment}) as server:
        if fresh:
            watched(spool)
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
            kill_jobs(place, server.workers, chance, rounds)
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
    with small_disk(servers) as disk, _spool(servers, disk) as (spool, place):
        # Finished jobs make room, and are then no longer asked for.
        place.contents = tuple(clip(one) for one in ("slow", "broken", "broken"))
        place.pause = 0.4
        with _service(spool, ALLOW_SPOOL_ON_TMPFS="1") as server:
            times = min(rounds, 2)
            with place.fed([server], chance):
                fill(disk, chance, times)
            return place.account("one machine: disk full for 3 s", times, server)


def embedded_clock(servers: Servers, chance: random.Random, rounds: int) -> Account:
    """Each start, after a SIGKILL, on a clock that is an hour early, right, or late."""
    with _spool(servers) as (spool, place):
        times = min(rounds, 6)
        for ahead in [(3600, 0, -3600)[number % 3] for number in range(times)]:
            lasting = {"JOB_TTL_SECONDS": "36000", **clock(servers, ahead)}
            with _service(spool, **lasting) as server, place.fed([server], chance):
                time.sleep(chance.uniform(0.5, 1.5))
                server.kill()
        with _service(spool, JOB_TTL_SECONDS="36000") as server:
            return place.account("one machine: clock off by an hour", times, server)

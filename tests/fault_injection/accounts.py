"""Feeds a service through a fault, and accounts for every job that it accepted."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from fixtures.servers.postgres import PostgresServer
from fixtures.servers.s3 import S3Server
from tests.reference_app.conftest import FINAL, Client
from tests.reference_app.stand_in_engine import FILES, clip

__all__ = [
    "HEAD",
    "LIMITS",
    "Account",
    "Place",
    "Servers",
    "clock",
    "databases",
    "fill",
    "kill",
    "kill_jobs",
    "small_disk",
    "watched",
]

#: Few places in the queue, so that the time until all is over is that of the fault.
LIMITS = {"MAX_PENDING": "12", "MAX_PROCESSING": "4", "WORKER_SLOTS": "2"}
#: What a recovery may take, and a job may be tried.
RECOVERY_SECONDS, ATTEMPTS = 60.0, 3
#: An hour too late or too early, for the Python code of one process.
_CLOCK = "import time\n_true = time.time\ntime.time = lambda: _true() + {ahead}\n"
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
        """Send one more job, wait until all are over and rows and objects agree, and count."""
        began = time.monotonic()
        deadline = began + 2 * RECOVERY_SECONDS
        self._send_one(api, deadline)
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

    def _send_one(self, api: Client, deadline: float) -> None:
        """An ordinary job, which the service must take after the fault.

        A fault may also strike before the first upload: this one is there to be counted then.
        """
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                answer = api.upload(self.contents[0])
                if answer.status_code == 202:
                    self.accepted.add(answer.json()["job_id"])
                    return
                self.refused[answer.status_code] += 1
            time.sleep(0.1)
        raise TimeoutError(f"no job was taken after the fault: {dict(self.refused)}")


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


def watched(spool: Path) -> None:
    """Note every change of state in the embedded database from now on."""
    (database,) = databases(spool)
    with sqlite3.connect(database, timeout=10) as db:
        db.executescript(_AUDIT_SQLITE)


def databases(spool: Path) -> list[Path]:
    return [
        path for path in spool.glob("instance-0/*")
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"
    ]  # fmt: skip


def kill(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def kill_jobs(place: Place, tree: Callable[[], list[psutil.Process]], chance: random.Random,
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


@contextmanager
def small_disk(servers: Servers) -> Iterator[Path]:
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


def fill(disk: Path, chance: random.Random, times: int) -> None:
    """Leave no space for 3 s, so often, at random moments."""
    for _ in range(times):
        time.sleep(chance.uniform(0.5, 1.5))
        with _full(disk):
            time.sleep(3)


def clock(servers: Servers, ahead: int) -> dict[str, str]:
    folder = Path(tempfile.mkdtemp(prefix="clock-", dir=servers.folder))
    (folder / "sitecustomize.py").write_text(_CLOCK.format(ahead=ahead))
    return {"PYTHONPATH": str(folder)}

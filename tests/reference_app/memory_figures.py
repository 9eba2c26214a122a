"""Memory of the reference service by role: `python -m tests.reference_app.memory_figures`.

Prints the PSS in MiB of a process tree: the form on one machine at rest and at the peak of a 720p
job; with PostgreSQL and S3 the process with a port at rest, and a worker at rest and at the peak of
a 1080p job; the same with Redis at rest. The code is the service's own, not the stand-in's. How
much of it is pages of files is said too: those are shared with whatever else maps the same
libraries, so that the sum is smaller where more runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psutil

from fixtures.clips import clip as walking_clip
from fixtures.servers.postgres import postgres_server
from fixtures.servers.s3 import s3_server
from tests.reference_app import cluster as clusters
from tests.reference_app.cluster import cluster
from tests.reference_app.conftest import FINAL, Client, served
from tests.reference_app.redis_broker import redis_broker

REAL_API = [sys.executable, "-m", "uvicorn", "reference_app.main:app", "--port", "{port}"]
REAL_WORKER = [sys.executable, "-m", "reference_app"]


@dataclass(frozen=True)
class Reading:
    """The memory of a process tree in MiB; `alone` is what its PSS were if nothing else ran."""

    pss: float
    of_files: float
    alone: float

    def __str__(self) -> str:
        return (
            f"{self.pss:.1f} MiB, {self.of_files:.1f} of them pages of files; "
            f"{self.alone:.1f} MiB where nothing else maps those files"
        )


def at_rest(pid: int) -> Reading:
    """Of a process and all below it, once it has not changed by 1% for three seconds."""
    last, same = read(pid), 0
    while same < 3:
        time.sleep(1)
        now = read(pid)
        same = same + 1 if abs(now.pss - last.pss) < 0.01 * now.pss else 0
        last = now
    return last


def at_peak(pid: int, client: Client, video: Path) -> Reading:
    """The highest reading while one clip is sent and processed, others' programs left aside."""
    job_id = client.upload(video.read_bytes()).json()["job_id"]
    highest = read(pid)
    while (status := client.status(job_id)["status"]) not in FINAL:
        highest = max(highest, read(pid), key=lambda one: one.alone)
    assert status == "completed", status
    return highest


def read(pid: int) -> Reading:
    """Of a process and all below it, now; those that end meanwhile count nothing."""
    total = own = 0
    # The processes of a tree have much the same pages of a file: the most that one has count.
    files: dict[str, int] = {}
    for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            text = Path(f"/proc/{one.pid}/smaps").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        path = ""
        for line in text.splitlines():
            name, *words = line.split()
            if not name.endswith(":"):
                path = f"{words[1]} {words[-1]}" if len(words) == 5 else ""
            elif name == "Rss:":
                resident = int(words[0])
            elif name == "Pss:":
                total += (pss := int(words[0]))
            elif name == "Anonymous:":
                of_file = resident - int(words[0])
                if path:
                    files[path] = max(files.get(path, 0), of_file)
                own += pss * int(words[0]) // max(1, resident) if path else pss
    return Reading(total / 1024, (total - own) / 1024, (own + sum(files.values())) / 1024)


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory(prefix="figures-") as name:
        folder = Path(name)
        with served(folder / "spool", "reference_app.main:app") as server:
            print(f"one machine, at rest: {at_rest(server.process.pid)}", flush=True)
            small = walking_clip(width=1280, height=720).path
            peak = at_peak(server.process.pid, server, small)
            print(f"one machine, peak of a 720p job: {peak}", flush=True)
        (folder / "scaled").mkdir()
        with (
            postgres_server() as postgres,
            s3_server(folder / "s3") as s3,
            patch.object(clusters, "_API", REAL_API),
            patch.object(clusters, "_WORKER", REAL_WORKER),
            cluster(folder / "scaled", postgres, s3, WORKERS="process") as parts,
        ):
            client = parts.api()
            print(f"API, PostgreSQL and S3: {at_rest(parts.processes[0].pid)}", flush=True)
            worker = parts.worker()
            print(f"worker, at rest: {at_rest(worker.pid)}", flush=True)
            large = walking_clip(width=1920, height=1080, target_bytes=29_500_000).path
            peak = at_peak(worker.pid, client, large)
            print(f"worker, peak of a 1080p job: {peak}", flush=True)
            print(f"API after it: {at_rest(parts.processes[0].pid)}", flush=True)
            with redis_broker() as broker:
                parts.api(QUEUE_URL=broker.url)
                api = parts.processes[-1]
                print(f"API, with Redis too: {at_rest(api.pid)}", flush=True)
                worker = parts.worker(QUEUE_URL=broker.url)
                print(f"worker, with Redis too, at rest: {at_rest(worker.pid)}", flush=True)


if __name__ == "__main__":
    main()

"""Sends mutated videos to the real service, and looks at what each of them leaves behind.

`python -m tests.fault_injection.fuzz_service SEED COUNT` prints, after each batch and at the end,
how the uploads were answered and how the jobs ended, and whatever may not happen: an answer that
is neither a job nor a refusal, a worker over its job's memory, a process or a file that is left.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from reference_app.settings import Settings
from tests.fault_injection.fuzz_decoder import mutated, sources
from tests.reference_app.conftest import FINAL, Server, served, until

__all__ = ["SETTINGS", "Findings", "fuzz"]

MIB = 1024 * 1024
REFUSALS = {413, 415, 422}
#: As many as run at once, and as many as come in meanwhile: the queue never fills.
CLIENTS = 4
BATCH = 100
SAMPLE_SECONDS = 0.01
ASK_SECONDS = 0.1
JOB_SECONDS = 120.0
#: Looking for a body once is enough: what is broken is the file.
SETTINGS = {"MAX_DURATION_SECONDS": "1", "FRAME_INTERVAL": "30"}
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Findings:
    """What was seen so far; `wrong` has to stay empty."""

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    workers: int = 0
    #: The most private memory that a worker had beyond what it was forked with.
    most_mib: int = 0

    def to_json(self) -> str:
        """One line."""
        return json.dumps(vars(self))


class WorkerWatch(threading.Thread):
    """Reads the private memory of every worker, a hundred times a second."""

    def __init__(self, forkserver: int) -> None:
        super().__init__(daemon=True)
        self.grown: dict[int, int] = {}
        self._forkserver = forkserver
        self._over = threading.Event()

    def run(self) -> None:
        """Read until `end`."""
        children = Path(f"/proc/{self._forkserver}/task/{self._forkserver}/children")
        inherited = _private_bytes(self._forkserver)
        while not self._over.wait(SAMPLE_SECONDS):
            for pid in map(int, children.read_text().split()):
                with suppress(OSError):
                    grown = _private_bytes(pid) - inherited
                    self.grown[pid] = max(grown, self.grown.get(pid, 0))

    def end(self) -> None:
        """Stop reading."""
        self._over.set()
        self.join()


def _private_bytes(pid: int) -> int:
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0


def fuzz(server: Server, names: list[str], originals: list[bytes], found: Findings) -> None:
    """Send one batch to a service that rests, wait until it rests again, and look at it."""
    job_bytes = Settings().job_memory_bytes(server.memory()["memory"]["limit_bytes"])
    process = psutil.Process(server.process.pid)
    rest = {one.pid for one in server.tree() + psutil.Process().children()}
    (forkserver,) = (one.pid for one in process.children() if "forkserver" in str(one.cmdline()))
    watch = WorkerWatch(forkserver)
    watch.start()

    def send(share: list[str]) -> list[tuple[str, str | None]]:
        # A client shared by threads can close a connection in use (encode/httpcore#1110).
        with httpx.Client(base_url=server.http.base_url, timeout=server.http.timeout) as http:
            own = replace(server, http=http)
            return [_send(own, name, mutated(name, originals)) for name in share]

    with ThreadPoolExecutor(CLIENTS) as clients:
        for ends in clients.map(send, [names[first::CLIENTS] for first in range(CLIENTS)]):
            found.answers.update(end for end, _ in ends)
            found.wrong += [wrong for _, wrong in ends if wrong]
    found.inputs += len(names)
    with suppress(AssertionError):
        until(lambda: {one.pid for one in server.tree()} <= rest and not server.files(), 30)
    watch.end()
    found.workers += len(watch.grown)
    found.most_mib = max([found.most_mib, *(grown // MIB for grown in watch.grown.values())])
    found.wrong += [
        f"a worker of {names[0]} to {names[-1]} took {grown // MIB} MiB"
        for grown in watch.grown.values()
        if grown > job_bytes
    ]
    # What lost its parent is ours now (see `main`), and no descendant of the service.
    left = {one.pid: one for one in server.tree() + psutil.Process().children()}
    found.wrong += [f"left after {names[-1]}: {left[pid]}" for pid in left.keys() - rest]
    found.wrong += [f"left after {names[-1]}: {path}" for path in server.files()]
    if not process.is_running():
        found.wrong.append(f"the service ended before {names[-1]}")


def _send(server: Server, name: str, content: bytes) -> tuple[str, str | None]:
    """How this input ended, and what is wrong with that."""
    answer = server.upload(content)
    if answer.status_code != 202:
        detail = answer.json().get("detail")
        good = answer.status_code in REFUSALS and detail
        return str(answer.status_code), None if good else f"{name}: {answer.status_code}, {detail}"
    job = _ended(server, answer.json()["job_id"])
    removed = server.http.delete(f"/api/cleanup/{job['job_id']}")
    end = job["status"]
    if removed.is_server_error:
        return end, f"{name}: {removed.status_code} when it was removed"
    if end == "completed" or (end == "failed" and _is_about_the_video(job["error"])):
        return end, None
    return end, f"{name}: {end}, {job['error']}"


def _ended(server: Server, job_id: str) -> dict[str, Any]:
    """The job at its end, asked for so seldom that asking is not what the machine does."""
    deadline = time.monotonic() + JOB_SECONDS
    while (job := server.status(job_id))["status"] not in FINAL and time.monotonic() < deadline:
        time.sleep(ASK_SECONDS)
    return job


def _is_about_the_video(reason: str | None) -> bool:
    """Whether a job failed for its video, and not for a stage or a worker that broke."""
    unlike = ("A library broke", "The worker", "Processing failed", " failed: ")
    return bool(reason) and not any(words in str(reason) for words in unlike)


def main(seed: str, count: int) -> int:
    """Send `count` inputs; 1 where something was wrong."""
    # Processes that lose their parent become children of this one, where they are seen.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    originals = sources()
    found, began = Findings(), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "spool", "reference_app.main:app", **SETTINGS) as server,
    ):
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            fuzz(server, [f"{seed}/{number}" for number in numbers], originals, found)
            print(found.to_json(), f"{time.monotonic() - began:.0f} s", flush=True)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

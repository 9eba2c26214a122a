"""Jobs and the API inside a kernel memory limit, from a cold page cache.

Two ordinary 1080p jobs at once, and one beside two of the videos that are made to need too much.
HOSTILE_ROUNDS and HOSTILE_MEDIA (a folder of videos) ask for more of the latter.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.clips import clip
from fixtures.hostile import HOSTILE
from leak_suite.fit.backends import select_backend
from leak_suite.fit.cgroup import MemoryCgroup
from leak_suite.fit.page_cache import drop_page_cache
from leak_suite.service_process import ServiceProcess
from tests.reference_app.conftest import ROOT, until

pytest.importorskip("mediapipe")

MIB = 1 << 20
BACKEND = select_backend()
COMMAND = (sys.executable, "-m", "uvicorn", "reference_app.main:app", "--port", "{port}")
FRAMES, LOOKS, LANDMARKS = 300, 100, 33
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "3"))
#: What ran past its memory once: an index, a decoder, a picture; and two that are merely odd.
GREEDY = ("index-of-20-million", "deep-colour", "grows-to-8000", "anamorphic", "variable-rate")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not BACKEND.enforced, reason=f"NO MEMORY LIMIT CAN BE SET HERE: {BACKEND.unavailable}"
    ),
]


@dataclass
class Limited:
    """The service inside its group, and a client of it."""

    group: MemoryCgroup
    server: ServiceProcess
    http: httpx.Client

    def job(self, path: Path) -> dict[str, Any]:
        """Send a clip and wait for the end of its job."""
        return self.end_of(self.send(path))

    def send(self, path: Path) -> str:
        """Send a clip; the id of its job."""
        with path.open("rb") as file:
            answer = self.http.post("/api/upload", files={"file": (path.name, file, "video/mp4")})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def end_of(self, job_id: str) -> dict[str, Any]:
        """A job at its end."""
        url = f"/api/status/{job_id}"
        final = {"completed", "failed", "cancelled"}
        return dict(until(lambda: (v := self.http.get(url).json())["status"] in final and v, 400))

    def unreclaimable(self) -> int:
        """Memory of the group that cannot be dropped."""
        unreclaimable = self.group.stats().unreclaimable
        assert unreclaimable is not None
        return unreclaimable


@contextmanager
def limited(mib: int) -> Iterator[Limited]:
    """The service under a limit, none of its libraries in memory but what others map."""
    drop_page_cache(str(path) for path in Path(sysconfig.get_path("platlib")).rglob("*.so*"))
    group = BACKEND.make_cgroup(mib * MIB)
    try:
        server = ServiceProcess(group.wrap(COMMAND))
        try:
            server.wait_until_listening(120)
            with httpx.Client(base_url=server.base_url, timeout=120) as http:
                yield Limited(group, server, http)
        finally:
            server.stop(10)
    finally:
        group.close()


def at(job: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(job[name]).timestamp()


def overlap(jobs: list[dict[str, Any]]) -> float:
    """How much of the longer job's time both ran."""
    spans = [(at(job, "started_at"), at(job, "finished_at")) for job in jobs]
    both = min(end for _, end in spans) - max(start for start, _ in spans)
    return both / max(end - start for start, end in spans)


@pytest.mark.parametrize("mib", [512, 485])
def test_two_1080p_jobs_at_once_fit(
    mib: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clip(width=1920, height=1080, seconds=10, codec="h264", target_bytes=29_500_000)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    with limited(mib) as service:
        idle = service.unreclaimable()
        jobs: list[dict[str, Any]] = []
        users = [
            threading.Thread(target=lambda: jobs.append(service.job(made.path))) for _ in range(2)
        ]
        for user in users:
            user.start()
        for user in users:
            user.join()
        assert [job["status"] for job in jobs] == ["completed", "completed"], jobs
        for job in jobs:
            rows_are_right(service.http, job)
        assert overlap(jobs) >= 0.8
        assert service.group.stats().oom_kills == 0
        until(lambda: service.unreclaimable() <= 1.1 * idle, 60)
    assert service.group.pids() == ()


def rows_are_right(http: httpx.Client, job: dict[str, Any]) -> None:
    """The person is found in nearly every look, and the video is one."""
    base = f"/api/download/{job['job_id']}"
    rows = list(csv.DictReader(io.StringIO(http.get(f"{base}/csv").raise_for_status().text)))
    assert len(rows) % LANDMARKS == 0
    assert len(rows) >= 0.95 * LOOKS * LANDMARKS
    assert int(rows[-1]["frame"]) < FRAMES
    video = http.get(f"{base}/video").raise_for_status().content
    assert video[4:8] == b"ftyp"


@pytest.mark.timeout(3600)
def test_an_ordinary_job_completes_beside_two_hostile_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = clip(width=1920, height=1080, seconds=10, codec="h264", target_bytes=29_500_000)
    pairs = list(itertools.combinations_with_replacement(hostile_videos(tmp_path), 2))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    with limited(512) as service:
        idle = service.unreclaimable()
        for number in range(ROUNDS):
            # Any two of them within so many rounds, at both ends of the list first.
            pair = pairs[(number // 2 if number % 2 == 0 else -1 - number // 2) % len(pairs)]
            # Now the ordinary one is there first, now the two are.
            sent = [ordinary.path, *pair] if number % 2 else [*pair, ordinary.path]
            jobs = at_once(service, sent)
            job = jobs.pop(sent.index(ordinary.path))
            assert job["status"] == "completed", job
            rows_are_right(service.http, job)
            for path, other in zip(pair, jobs, strict=True):
                assert ended_by_name(other), f"{path.name}: {other}"
            assert service.group.stats().oom_kills == 0
            ends = [(path.name, other["status"]) for path, other in zip(pair, jobs, strict=True)]
            print(f"round {number + 1}: {ends}, beside them {job['status']}", flush=True)
        until(lambda: service.unreclaimable() <= 1.1 * idle, 60)
    assert service.group.pids() == ()


def hostile_videos(folder: Path) -> list[Path]:
    """Those of HOSTILE_MEDIA, or the ones that are made for every test."""
    if (given := os.environ.get("HOSTILE_MEDIA")) is not None:
        return sorted(path for path in Path(given).iterdir() if path.is_file())
    made = [folder / f"{name}.mp4" for name in GREEDY]
    for path in made:
        path.write_bytes(HOSTILE[path.stem].make())
    return made


def at_once(service: Limited, paths: list[Path]) -> list[dict[str, Any]]:
    """The ends of the jobs of these files, each sent as soon as the one before is taken."""
    ids = [service.send(path) for path in paths]
    return [service.end_of(job_id) for job_id in ids]


def ended_by_name(job: dict[str, Any]) -> bool:
    """Whether a job completed, or was refused for its video's need of memory."""
    needs_more = "memory" in (job["error"] or "") and "Do not send it again" in job["error"]
    return job["status"] == "completed" or (job["status"] == "failed" and needs_more)

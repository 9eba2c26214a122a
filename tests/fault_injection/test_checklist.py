"""The report's own checklist on the running service: sizes, load, clean-up, truth, bounds, log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.clips import clip
from reference_app.factories import ServiceFactories
from tests.fault_injection.harness import tiny
from tests.fault_injection.test_ends import HandClock
from tests.reference_app.conftest import Server, running, served, settings_for, until

MIB = 1024 * 1024
TOLERANCE = 0.05
#: What a deployed service cannot do without, and what was promised for one video.
PROMISED_PEAK_BYTES = 500 * MIB
SIZES = {"small": (0, 5), "medium": (10, 20), "just under 30 MB": (28, 30)}
TARGETS = {"small": 4.8, "medium": 15.0, "just under 30 MB": 29.9}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("checklist")
    with served(folder / "spool", "reference_app.main:app") as made:
        first = made.wait(made.upload(tiny()).json()["job_id"], "completed")
        made.http.delete(f"/api/cleanup/{first['job_id']}")
        yield made


def video(size: str) -> bytes:
    return clip(seconds=10.0, target_bytes=int(TARGETS[size] * MIB)).path.read_bytes()


def outside(server: Server) -> int:
    """The tree's memory as somebody else sees it."""
    return sum(map(pss, [psutil.Process(server.process.pid), *server.tree()]))


def pss(process: psutil.Process) -> int:
    """One process's share; none of one that has just ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def followed(server: Server, ids: list[str], look: Callable[[], int]) -> tuple[list[Any], int]:
    """The jobs at their end, and the most that `look` saw on the way."""
    most = 0

    def ended() -> list[Any] | None:
        nonlocal most
        most = max(most, look())
        jobs = [server.status(job_id) for job_id in ids]
        return jobs if all(job["finished_at"] for job in jobs) else None

    return until(ended, 240), most


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_video_of_this_size_is_processed_and_its_memory_comes_back(
    server: Server, size: str
) -> None:
    content, (low, high) = video(size), SIZES[size]
    assert low * MIB < len(content) < high * MIB
    before = server.memory()["memory"]["tree_bytes"]
    answer = server.upload(content)
    assert answer.status_code == 202, answer.text
    (job,), most = followed(server, [answer.json()["job_id"]], lambda: outside(server))
    assert job["status"] == "completed", job["error"]
    assert most < PROMISED_PEAK_BYTES
    assert job["summary"]["peak_memory_bytes"] < PROMISED_PEAK_BYTES
    until(lambda: server.memory()["memory"]["tree_bytes"] < before * 1.1, 20)
    server.http.delete(f"/api/cleanup/{job['job_id']}")
    assert server.files() == []


@pytest.mark.slow
@pytest.mark.parametrize("uploads", [2, 3])
def test_several_uploads_at_once_are_all_processed_two_at_a_time(
    server: Server, uploads: int
) -> None:
    content = clip(seconds=3.0).path.read_bytes()
    with ThreadPoolExecutor(uploads) as senders:
        answers = list(senders.map(server.upload, [content] * uploads))
    assert [answer.status_code for answer in answers] == [202] * uploads
    jobs, most = followed(
        server,
        [answer.json()["job_id"] for answer in answers],
        lambda: int(server.memory()["jobs"]["processing"]),
    )
    assert [job["status"] for job in jobs] == ["completed"] * uploads
    assert most == 2
    assert server.memory()["peaks"]["processing"] <= 2
    for job in jobs:
        server.http.delete(f"/api/cleanup/{job['job_id']}")


def test_files_and_memory_are_cleaned_up_after_one_hour(tmp_path: Path) -> None:
    clock = HandClock()
    settings = settings_for(tmp_path / "spool", expiry_interval_seconds=0.05)
    with running(settings, ServiceFactories(clock=lambda: clock)) as service:
        ids = [service.upload(tiny()).json()["job_id"] for _ in range(3)]
        for job_id in ids:
            assert service.wait(job_id)["status"] == "completed"
        clock.monotonic_ahead = 3590
        assert len(service.files()) > 0
        assert len(service.records()) == 3
        clock.monotonic_ahead = 3601
        until(lambda: service.files() == [] and len(service.records()) == 0)


def test_health_memory_tells_the_truth_at_rest(server: Server) -> None:
    until(lambda: not server.workers())
    assert server.memory()["memory"]["tree_bytes"] == pytest.approx(outside(server), rel=TOLERANCE)


@pytest.mark.slow
def test_health_memory_tells_the_truth_at_work(server: Server) -> None:
    """A worker grows while it is read, so the truth lies between two looks, give or take."""
    job_id = server.upload(clip(seconds=10.0).path.read_bytes()).json()["job_id"]
    server.wait(job_id, "processing")
    until(lambda: server.status(job_id)["progress"] > 0.2)
    looks = 0
    while server.status(job_id)["progress"] < 0.8:
        first, reported, last = outside(server), server.memory()["memory"], outside(server)
        assert reported["workers_bytes"] > 0
        low, high = sorted((first, last))
        assert low * (1 - TOLERANCE) <= reported["tree_bytes"] <= high * (1 + TOLERANCE)
        looks += 1
    assert looks > 0
    server.wait(job_id, "completed")
    server.http.delete(f"/api/cleanup/{job_id}")


def test_jobs_are_kept_within_bounds(server: Server) -> None:
    limits = server.memory()["limits"]
    assert (limits["max_processing"], limits["max_pending"]) == (2, 10)
    assert (limits["max_upload_mb"], limits["job_ttl_seconds"]) == (30, 3600)
    answers = [server.upload(tiny()) for _ in range(20)]
    taken = [a.json()["job_id"] for a in answers if a.status_code == 202]
    refused = [a for a in answers if a.status_code != 202]
    assert all(a.status_code == 503 and int(a.headers["retry-after"]) > 0 for a in refused)
    assert server.memory()["peaks"]["pending"] <= 10
    for job_id in taken:
        server.http.delete(f"/api/cleanup/{job_id}")
    assert server.files() == []
    assert server.memory()["jobs"]["total"] == 0


def test_the_log_tells_memory_before_and_after_each_job(server: Server) -> None:
    job_id = server.upload(tiny()).json()["job_id"]
    server.wait(job_id, "completed")

    def completed() -> list[dict[str, Any]]:
        output = server.process.output().splitlines()
        lines = [json.loads(line) for line in output if line[:1] == "{"]
        return [e for e in lines if e.get("job_id") == job_id and e["event"] == "job completed"]

    # The status can be read as soon as it is recorded; the line is written after that.
    (last,) = until(completed)
    assert last["memory_before_bytes"] > MIB
    assert last["memory_after_bytes"] > MIB
    server.http.delete(f"/api/cleanup/{job_id}")

"""The limits hold and every place is given back: on the service as it is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from fixtures.boxes import pad
from fixtures.clips import clip
from gate import workloads
from gate.client import (
    longer_video,
    upload,
    upload_chunked,
    video,
    wait_for_job,
    wait_for_jobs,
    wait_until,
)
from gate.server import GateServer

MIB = 1024**2
SECONDS = 1.0
# Waiting is over at once where a service works; where it does not, this is what it costs.
GONE_SECONDS = 8.0
MORE_FRAMES_MAY_TAKE = 16 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateServer]:
    """The service under limits so low that a test can reach them."""
    limits = {
        "MAX_UPLOAD_MB": "2",
        "MAX_DURATION_SECONDS": str(SECONDS),
        "JOB_TTL_SECONDS": "2",
        "EXPIRY_INTERVAL_SECONDS": "0.1",
        "MEMORY_LIMIT_MB": "512",
    }
    with GateServer(tmp_path_factory.mktemp("limits"), **limits) as server:
        yield server


def test_no_more_than_two_jobs_run_at_once(server: GateServer) -> None:
    names = [upload(server.client, longer_video()) for _ in range(5)]
    jobs = wait_for_jobs(server.client, names)
    assert {job["status"] for job in jobs} == {"completed"}
    times = [_run_of(job) for job in jobs]
    starts = [(start, 1) for start, _ in times]
    ends = [(end, -1) for _, end in times]
    running, most = 0, 0
    for _, step in sorted(starts + ends):
        running += step
        most = max(most, running)
    assert most <= 2


def test_a_long_video_is_cut_at_the_limit(server: GateServer) -> None:
    job = _finished(server.client, upload(server.client, longer_video()))
    assert job["trimmed"]
    assert job["summary"]["duration_seconds"] <= SECONDS


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(server: GateServer) -> None:
    too_large = pad(video(), 3 * MIB)

    declared = server.client.post("/api/upload", files={"file": ("walk.mp4", too_large)})
    undeclared = upload_chunked(server.client, too_large)
    assert undeclared is not None
    assert [declared.status_code, undeclared.status_code] == [413, 413]
    wait_until(lambda: server.files() == [], GONE_SECONDS)


def test_a_finished_job_expires_without_any_request(server: GateServer) -> None:
    _finished(server.client, upload(server.client, video()))
    wait_until(lambda: server.files() == [], GONE_SECONDS)


def test_failed_jobs_give_their_places_back(server: GateServer) -> None:
    for _ in range(3):
        workloads.failed_job(server.client)
    workloads.finished_job(server.client)


def test_an_abandoned_upload_leaves_no_file(server: GateServer) -> None:
    workloads.abandoned_upload(server.client)
    wait_until(lambda: server.files() == [], GONE_SECONDS)


def test_a_client_that_left_the_event_stream_is_forgotten(server: GateServer) -> None:
    workloads.abandoned_stream(server.client)
    wait_until(lambda: _metric(server, "reference_app_event_listeners") == 0, GONE_SECONDS)


def test_memory_is_reported_as_a_share_of_what_is_granted(server: GateServer) -> None:
    memory = server.memory()["memory"]
    assert memory["limit_bytes"] < psutil.virtual_memory().total
    assert memory["percent"] == pytest.approx(
        100 * memory["tree_bytes"] / memory["limit_bytes"], abs=0.1
    )


def test_a_longer_video_takes_no_more_memory(tmp_path: Path) -> None:
    with GateServer(tmp_path) as server:
        short, long = (
            _finished(server.client, upload(server.client, _large_video(seconds)))["summary"]
            for seconds in (0.5, 4.0)
        )
    assert long["peak_memory_bytes"] <= short["peak_memory_bytes"] + MORE_FRAMES_MAY_TAKE


def test_work_is_taken_again_after_memory_was_short(tmp_path: Path) -> None:
    """With jobs in threads a running one is resting memory: it forces the excess."""
    threads = {"WORKERS": "thread", "MEMORY_INTERVAL_SECONDS": "0.05"}
    with GateServer(tmp_path / "free", **threads) as server:
        _finished(server.client, upload(server.client, _large_video(4.0)))
        after = server.memory()
    rest, peak = after["memory"]["resting_bytes"], after["peaks"]["resting_bytes"]
    limit = str((rest + peak) // 2 // MIB)
    threads |= {"MEMORY_SOFT_MB": limit, "MEMORY_HARD_MB": limit}
    with GateServer(tmp_path / "short", **threads) as server:
        _finished(server.client, upload(server.client, _large_video(4.0)))
        assert server.memory()["peaks"]["resting_bytes"] > int(limit) * MIB, "nothing was forced"
        wait_until(lambda: _takes_work(server), GONE_SECONDS)


def _large_video(seconds: float) -> bytes:
    return clip(width=1280, height=720, seconds=seconds, fps=30).path.read_bytes()


def _takes_work(server: GateServer) -> bool:
    answer = server.client.post("/api/upload", files={"file": ("walk.mp4", video(), "video/mp4")})
    return answer.status_code == httpx.codes.ACCEPTED


def _finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    job = wait_for_job(client, job_id)
    assert job["status"] == "completed", job["error"]
    return job


def _run_of(job: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(job["started_at"]), datetime.fromisoformat(job["finished_at"])


def _metric(server: GateServer, name: str) -> float:
    lines = server.client.get("/metrics").raise_for_status().text.splitlines()
    (value,) = (line for line in lines if line.startswith(name + " "))
    return float(value.rpartition(" ")[2])

"""What was accepted outlives the service, however it ends: real processes, stopped and killed."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reference_app.conftest import FINAL, Server, served, until
from tests.reference_app.stand_in_engine import FILES, clip

ENDS = pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
# Threads start in a second less; what survives is the same.
QUICK = {"WORKERS": "thread", "DRAIN_SECONDS": "0"}


def end_with(server: Server, end: signal.Signals) -> None:
    if end is signal.SIGKILL:
        server.kill()
    else:
        server.terminate()


@ENDS
def test_a_finished_job_is_served_after_a_restart(tmp_path: Path, end: signal.Signals) -> None:
    spool = tmp_path / "spool"
    with served(spool, **QUICK) as server:
        done, failed = server.start(), server.start("broken")
        before = [server.wait(job_id) for job_id in (done, failed)]
        end_with(server, end)
    with served(spool, **QUICK) as server:
        assert [server.status(job_id) for job_id in (done, failed)] == before
        for kind in FILES:
            answer = server.http.get(f"/api/download/{done}/{kind}")
            assert (answer.status_code, len(answer.content)) == (200, 200_000)
        assert server.http.delete(f"/api/cleanup/{done}").is_success
        assert server.files() == []


def test_a_finished_job_expires_after_a_restart_as_it_would_have_before(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    short = {**QUICK, "JOB_TTL_SECONDS": "1.5", "EXPIRY_INTERVAL_SECONDS": "0.1"}
    with served(spool, **short) as server:
        job_id = server.start()
        server.wait(job_id, "completed")
        server.kill()
    time.sleep(1.5)
    with served(spool, **short) as server:
        assert server.http.get(f"/api/status/{job_id}").status_code == 404
        assert server.files() == []


@ENDS
def test_waiting_jobs_keep_their_place_and_a_running_one_runs_again_once(
    tmp_path: Path, end: signal.Signals
) -> None:
    spool = tmp_path / "spool"
    one = {**QUICK, "MAX_PROCESSING": "1"}
    with served(spool, **one) as server:
        running = server.start("hold")
        server.wait(running, "processing")
        waiting = [server.start("hold") for _ in range(3)]
        end_with(server, end)
    with served(spool, **one) as server:
        again = server.wait(running, "processing")
        assert "(Attempt 2: the service was restarted.)" in again["message"]
        assert [server.status(job_id)["queue_position"] for job_id in waiting] == [1, 2, 3]
        server.release()
        ends = [server.wait(job_id) for job_id in (running, *waiting)]
        assert [job["status"] for job in ends] == ["completed"] * 4
        starts = [job["started_at"] for job in ends]
        assert starts == sorted(starts), "in their old order"
        assert "Attempt 2" in ends[0]["message"]
        assert [job["message"] for job in ends[1:]] == ["Completed."] * 3
        until(lambda: server.owners() == {job["job_id"]: set(FILES.values()) for job in ends})


def test_a_worker_process_that_ran_when_the_service_was_killed_does_no_harm(
    tmp_path: Path,
) -> None:
    spool = tmp_path / "spool"
    with served(spool) as server:
        job_id = server.start("hold")
        until(server.workers)
        server.kill()
    with served(spool) as server:
        server.wait(job_id, "processing")
        server.release()
        assert server.wait(job_id)["status"] == "completed"
        until(lambda: server.owners() == {job_id: set(FILES.values())})


def test_a_job_that_ends_the_service_every_time_fails_after_three_attempts(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(spool, **QUICK) as server:
        job_id = server.start("hold")
        server.wait(job_id, "processing")
        server.kill()
    for attempt in (2, 3):
        with served(spool, **QUICK) as server:
            until(lambda: f"Attempt {attempt}" in server.status(job_id)["message"])  # noqa: B023
            server.kill()
    with served(spool, **QUICK) as server:
        job = server.status(job_id)
        assert job["status"] == "failed"
        assert job["error"] == (
            "The service ended 3 times while this job was running; it is not tried again."
        )
        assert server.files() == []


def test_a_job_that_was_cancelled_or_removed_does_not_come_back(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(spool, **QUICK) as server:
        jobs = [server.start("hold") for _ in range(4)]
        server.wait(jobs[0], "processing")
        for job_id in (jobs[0], jobs[2]):
            server.http.post(f"/api/cancel/{job_id}")
        server.http.delete(f"/api/cleanup/{jobs[3]}")
        server.kill()
    with served(spool, **QUICK) as server:
        assert server.status(jobs[0])["status"] == "cancelled"
        assert server.status(jobs[2])["status"] == "cancelled"
        assert server.http.get(f"/api/status/{jobs[3]}").status_code == 404
        server.wait(jobs[1], "processing")


def test_objects_without_a_record_go_at_the_start(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(spool, **QUICK) as server:
        job_id = server.start()
        server.wait(job_id, "completed")
        server.kill()
    objects = spool / "instance-0" / "objects" / "jobs"
    strays = (f"{'a' * 32}/0/source", f"{job_id}/0/source", f"{job_id}/7/video.mp4")
    for stray in strays:
        (objects / stray).parent.mkdir(parents=True, exist_ok=True)
        (objects / stray).write_bytes(b"left")
    scratch = spool / "instance-0" / "scratch" / "half-an-upload"
    scratch.mkdir(parents=True)
    (scratch / "source").write_bytes(b"left")
    with served(spool, **QUICK) as server:
        assert server.owners() == {job_id: set(FILES.values())}
        assert server.http.get(f"/api/download/{job_id}/csv").is_success


def test_a_folder_that_nobody_holds_goes_when_its_jobs_are_over(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(spool, **QUICK) as first, served(spool, **QUICK) as second:
        second.start("hold")
        second.kill()
        first.kill()
    assert (spool / "instance-1").exists()
    short = {"JOB_TTL_SECONDS": "0.5", "EXPIRY_INTERVAL_SECONDS": "0.1"}
    with served(spool, **{**QUICK, **short}):
        until(lambda: not (spool / "instance-1").exists(), 20)
        assert (spool / "instance-0").exists()


# -- at any moment


BEHAVIOURS = ("quick", "slow", "slow", "broken")


def some_work(server: Server, accepted: dict[str, str], chance: random.Random) -> None:
    """Uploads, a cancel and a removal now and then, for as long as the service lives."""
    while True:
        behaviour = chance.choice(BEHAVIOURS)
        try:
            answer = server.upload(clip(behaviour))
            if answer.status_code == 202:
                accepted[answer.json()["job_id"]] = behaviour
            if accepted and chance.random() < 0.1:
                server.http.post(f"/api/cancel/{chance.choice(list(accepted))}")
        except httpx.TransportError:
            return
        time.sleep(0.02)


def killed_at_any_moment(
    spool: Path, kills: int, chance: random.Random, environment: dict[str, str]
) -> Counter[str]:
    """Kill the service so often while it works; how the accepted jobs ended."""
    import threading

    accepted: dict[str, str] = {}
    for _ in range(kills):
        with served(spool, **environment) as server:
            worker = threading.Thread(target=some_work, args=(server, accepted, chance))
            worker.start()
            time.sleep(chance.uniform(0.0, 0.8))
            server.kill()
            worker.join(30)
            assert not worker.is_alive()
    with served(spool, **environment) as server:
        ends: dict[str, dict[str, Any]] = {job_id: server.wait(job_id) for job_id in accepted}
        others = [
            server.wait(job["job_id"])
            for job in server.http.get("/api/jobs").json()["jobs"]
            if job["job_id"] not in accepted
        ]
        # An upload whose answer was cut off may have become a job, one for each kill at most.
        assert len(others) <= kills
        everything = [*ends.values(), *others]
        for job in everything:
            assert job["status"] in FINAL
            assert (job["error"] is not None) == (job["status"] == "failed"), job
            if job["status"] == "completed":
                for kind in FILES:
                    assert server.http.get(f"/api/download/{job['job_id']}/{kind}").is_success
        completed = [job["job_id"] for job in everything if job["status"] == "completed"]
        until(lambda: server.owners() == {job_id: set(FILES.values()) for job_id in completed})
        unexpected = [
            job
            for job_id, job in ends.items()
            if job["status"] == "failed"
            and accepted[job_id] != "broken"
            and "3 times" not in job["error"]
        ]
        assert unexpected == []
        return Counter(job["status"] for job in everything)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kills", "environment"),
    [(15, {"WORKERS": "thread", "MAX_PENDING": "50"}), (5, {"MAX_PENDING": "50"})],
    ids=["threads", "processes"],
)
def test_nothing_accepted_is_lost_when_the_service_is_killed_at_any_moment(
    tmp_path: Path, kills: int, environment: dict[str, str], record_property: Any
) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    ends = killed_at_any_moment(tmp_path / "spool", kills, random.Random(seed), environment)
    assert ends["completed"] > 0, (seed, ends)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("workers", ["thread", "process"])
def test_nothing_accepted_is_lost_in_a_hundred_kills(tmp_path: Path, workers: str) -> None:
    environment = {"WORKERS": workers, "MAX_PENDING": "50"}
    ends = killed_at_any_moment(tmp_path / "spool", 100, random.Random(20), environment)
    assert ends["completed"] > 0

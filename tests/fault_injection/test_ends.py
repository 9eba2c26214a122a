"""Cancels, deletions, disconnects, deaths, full disks and jumping clocks, at any moment."""

from __future__ import annotations

import errno
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from reference_app.factories import ServiceFactories
from tests.fault_injection.conftest import Plan
from tests.fault_injection.harness import harness, tiny
from tests.reference_app.conftest import (
    FINAL,
    HandClock,
    Running,
    Server,
    descriptors,
    running,
    served,
    settings_for,
    until,
)
from tests.reference_app.stand_in_engine import clip, make_engine

BOUNDARY = b"xxBOUNDARYxx"
HEAD = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\n"
)
TAIL = b"\r\n--" + BOUNDARY + b"--\r\n"
STAGES = ("pending", "processing", "completed", "failed", "cancelled")


@pytest.fixture
def service(tmp_path: Path) -> Any:
    with running(settings_for(tmp_path / "spool")) as made:
        yield made


def brought_to(service: Running, stage: str) -> str:
    """A job in this state."""
    if stage == "pending":
        for job_id in [service.start("hold") for _ in range(2)]:
            service.wait(job_id, "processing")
        return service.start()
    job_id = service.start({"completed": "quick", "failed": "broken"}.get(stage, "hold"))
    service.wait(job_id, *(("processing",) if stage == "cancelled" else (stage,)))
    if stage == "cancelled":
        service.http.post(f"/api/cancel/{job_id}")
    return job_id


def assert_empty(service: Running) -> None:
    """Nothing of any job is left anywhere."""
    held: dict[str, Any] = {}

    def empty() -> bool:
        jobs = service.memory()["jobs"].items()
        held.update(jobs=[item for item in jobs if item[1]], files=service.files())
        held.update(
            running=service.container.runner.running, listeners=len(service.container.broadcaster)
        )
        return not any(held.values())

    try:
        until(empty, 10)
    except AssertionError:
        raise AssertionError(f"left behind: {held}") from None


def forget(service: Running) -> None:
    for job in service.http.get("/api/jobs").json()["jobs"]:
        assert service.http.delete(f"/api/cleanup/{job['job_id']}").status_code == 200


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", ["cancel", "delete"])
def test_a_job_ends_in_every_state_and_leaves_nothing(
    service: Running, stage: str, way: str
) -> None:
    job_id = brought_to(service, stage)
    before = time.monotonic()
    if way == "cancel":
        answer = service.http.post(f"/api/cancel/{job_id}")
        assert answer.json()["status"] == ("failed" if stage == "failed" else "cancelled")
    else:
        assert service.http.delete(f"/api/cleanup/{job_id}").status_code == 200
        assert service.http.get(f"/api/status/{job_id}").status_code == 404
    assert time.monotonic() - before < 2
    assert not [path for path in service.files() if job_id in path.parts]
    forget(service)
    assert_empty(service)
    service.release()
    assert service.wait(service.start())["status"] == "completed"


@pytest.mark.parametrize("stage", STAGES)
def test_two_at_once_agree(service: Running, stage: str) -> None:
    job_id = brought_to(service, stage)
    url = service.http.base_url
    codes: list[int] = []
    calls = [("POST", "cancel"), ("POST", "cancel"), ("DELETE", "cleanup"), ("DELETE", "cleanup")]

    def ask(method: str, name: str) -> None:
        codes.append(httpx.request(method, f"{url}/api/{name}/{job_id}").status_code)

    threads = [threading.Thread(target=ask, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(codes) == 4
    assert set(codes) <= {200, 404}
    assert service.http.get(f"/api/status/{job_id}").status_code == 404
    forget(service)
    assert_empty(service)


@pytest.mark.parametrize("part", range(10))
def test_a_client_that_leaves_at_any_point_of_its_upload_leaves_nothing(
    service: Running, part: int
) -> None:
    body = HEAD + clip(size=700_000) + TAIL
    cut = len(body) * part // 9 - (1 if part == 9 else 0)
    url = service.http.base_url
    with socket.create_connection((url.host, url.port or 80)) as client:
        head = [b"POST /api/upload HTTP/1.1", b"Host: test", b"Content-Length: %d" % len(body)]
        head += [b"Content-Type: multipart/form-data; boundary=" + BOUNDARY, b"", b""]
        client.sendall(b"\r\n".join(head) + body[:cut])
        until(lambda: service.container.admission.uploading == 1)
    assert_empty(service)


@pytest.mark.parametrize("moment", ["at once", "waiting", "running", "ending"])
def test_a_listener_that_leaves_is_forgotten_whenever_it_leaves(
    service: Running, moment: str
) -> None:
    job_id = brought_to(service, "pending" if moment == "waiting" else "processing")
    with service.http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
        if moment != "at once":
            next(answer.iter_lines())
        if moment == "ending":
            service.release()
    until(lambda: len(service.container.broadcaster) == 0)
    forget(service)
    assert_empty(service)


def test_downloads_under_way_outlive_expiry(tmp_path: Path) -> None:
    clock = HandClock()
    parts = ServiceFactories(engine=make_engine, clock=lambda: clock)
    settings = settings_for(tmp_path / "spool", expiry_interval_seconds=0.05)
    with running(settings, parts) as service:
        job_id = service.start("big")
        service.wait(job_id, "completed")
        with service.http.stream("GET", f"/api/download/{job_id}/video") as answer:
            pieces = answer.iter_bytes(10_000)
            received = len(next(pieces))
            clock.monotonic_ahead = 3601
            until(lambda: len(service.records()) == 0)
            until(lambda: service.files() == [])
            received += sum(map(len, pieces))
        assert received == 50_000_000
        assert_empty(service)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0, 3601.0, -3601.0])
def test_a_jump_of_the_wall_clock_expires_nothing(tmp_path: Path, jump: float) -> None:
    clock = HandClock()
    parts = ServiceFactories(engine=make_engine, clock=lambda: clock)
    settings = settings_for(tmp_path / "spool", expiry_interval_seconds=0.02)
    with running(settings, parts) as service:
        done, held = service.start(), service.start("hold")
        service.wait(done)
        service.wait(held, "processing")
        clock.wall_ahead = jump
        time.sleep(0.1)
        assert service.status(done)["status"] == "completed"
        service.release()
        assert service.wait(held)["status"] == "completed"
        clock.monotonic_ahead = 3601
        assert_empty(service)


@pytest.mark.parametrize("room", [0, 1, 5, 20, 100])
def test_a_disk_that_fills_up_fails_what_needs_it_and_nothing_else(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota: after so many writes below the spool there is no room, until files go."""
    with harness(tmp_path) as made:
        quota = {"left": room}
        count = made.faults._next

        def full(name: str) -> BaseException | None:
            writes = (
                "system.write",
                "open_landmarks_csv.write",
                "open_writer.write",
                "system.mkdir",
            )
            if name in writes:
                quota["left"] -= 1
                if quota["left"] < 0:
                    return OSError(errno.ENOSPC, "No space left on device")
            return count(name)

        monkeypatch.setattr(made.faults, "_next", full)
        job = made.job(tiny())
        if room < 20:
            assert job["status"] in ("refused", "failed")
            assert job.get("code", 507) == 507
        quota["left"] = 10**6
        assert made.service.files() == [] or job["status"] == "completed"
        assert made.job(tiny())["status"] == "completed"
        made.forget_all()
        assert_empty(made.service)


@pytest.mark.slow
def test_workers_killed_at_any_moment_fail_their_jobs_alone(
    tmp_path: Path, plan: Plan, record_property: Callable[[str, object], None]
) -> None:
    kills, chance = plan.repeats(6, 100), plan.random("kills")
    record_property("kills", kills)
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        first = server.wait(server.upload(tiny()).json()["job_id"], "completed")
        server.http.delete(f"/api/cleanup/{first['job_id']}")
        process = psutil.Process(server.process.pid)
        rest = (descriptors(process), len(server.tree()))
        wrong = [w for n in range(kills) if (w := killed(server, chance, n))]
        assert wrong == []
        until(lambda: (descriptors(process), len(server.tree())) == rest, 20)
        assert server.files() == []
        assert server.memory()["jobs"]["total"] == 0


def killed(server: Server, chance: random.Random, turn: int) -> str | None:
    """Kill one of two workers after a random time; what is wrong then."""
    delay = chance.uniform(0, 0.5)
    jobs = [server.upload(tiny()).json()["job_id"] for _ in range(2)]
    until(lambda: server.workers() or all(server.status(j)["status"] in FINAL for j in jobs))
    time.sleep(delay)
    for worker in server.workers()[:1]:
        worker.kill()
    ends = [server.wait(job_id) for job_id in jobs]
    for job_id in jobs:
        server.http.delete(f"/api/cleanup/{job_id}")
    failed = [end for end in ends if end["status"] == "failed"]
    after = server.wait(server.upload(tiny()).json()["job_id"])
    server.http.delete(f"/api/cleanup/{after['job_id']}")
    if len(failed) > 1 or any("SIGKILL" not in end["error"] for end in failed):
        return f"kill {turn} after {delay:.3f} s: {[end['error'] for end in ends]}"
    if after["status"] != "completed":
        return f"after kill {turn}: {after['status']}, {after['error']}"
    return None


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_small_disk_that_is_full_is_said_and_recovers(tmp_path: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        environment = {"ALLOW_SPOOL_ON_TMPFS": "true"}
        with served(disk / "spool", "reference_app.main:app", **environment) as server:
            refused = server.upload(clip(size=4_000_000))
            assert refused.status_code == 507, refused.text
            assert server.files() == []
            filler = disk / "filler"
            reasons = []
            for free in (0, 20_000, 60_000, 120_000):
                room = os.statvfs(disk)
                filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free)))
                answer = server.upload(tiny())
                if answer.status_code == 202:
                    job = server.wait(answer.json()["job_id"])
                    reasons.append((job["status"], job["error"]))
                    server.http.delete(f"/api/cleanup/{job['job_id']}")
                else:
                    reasons.append((answer.status_code, answer.json()["detail"]))
                filler.unlink()
                assert server.files() == []
            assert all(reason for _, reason in reasons[:1])
            assert server.wait(server.upload(tiny()).json()["job_id"])["status"] == "completed"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)

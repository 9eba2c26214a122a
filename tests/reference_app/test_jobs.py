"""A job's life: queue, states, cancel, expiry and cleanup."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from reference_app.factories import ServiceFactories, WorkerFactory, make_worker_factory
from reference_app.http.upload import PROMISE_BYTES
from reference_app.pipeline.task import Task
from reference_app.settings import Settings
from reference_app.storage.local import LocalObjectStore
from reference_app.workers.child_main import Engine
from reference_app.workers.worker import Worker
from tests.reference_app.conftest import HandClock, Running, until
from tests.reference_app.stand_in_engine import FILES, clip, make_engine


def fill(service: Running) -> tuple[list[str], list[str]]:
    """Two jobs that run and ten that wait."""
    first = [service.start("hold") for _ in range(2)]
    for job_id in first:
        service.wait(job_id, "processing")
    return first, [service.start("hold") for _ in range(10)]


def test_two_run_ten_wait_and_the_next_is_refused(service: Running) -> None:
    first, waiting = fill(service)
    assert [service.status(job_id)["queue_position"] for job_id in waiting] == [*range(1, 11)]
    assert [service.status(job_id)["queue_position"] for job_id in first] == [None, None]
    refused = service.upload()
    assert refused.status_code == 503
    assert refused.json()["reason"] == "queue full"
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert refused.headers["content-type"] == "application/problem+json"
    service.release()
    done = [service.wait(job_id, "completed") for job_id in first + waiting]
    assert service.upload().status_code == 202
    starts = [job["started_at"] for job in done]
    assert starts == sorted(starts), "first come, first served"
    peaks = service.memory()["peaks"]
    assert (peaks["processing"], peaks["pending"]) == (2, 10)


def test_a_job_that_leaves_the_queue_is_processing_from_that_moment(
    serve: Callable[..., Running],
) -> None:
    """At every step of the start, also before the job's own task has had its first turn."""
    looking: list[asyncio.Future[list[dict[str, Any]]]] = []
    # The service is there only once it has been put together from these parts.
    here: list[Running] = []

    def workers(settings: Settings, engine: Engine) -> WorkerFactory:
        make = make_worker_factory(settings, engine)

        def watched(task: Task) -> Worker:
            def look() -> None:
                jobs = here[0].container.jobs
                looking.append(asyncio.ensure_future(jobs.views()))

            look()
            # The loop runs this before the task that is made for the job next.
            asyncio.get_running_loop().call_soon(look)
            return make(task)

        return watched

    here.append(serve(ServiceFactories(engine=make_engine, workers=workers)))
    first, waiting = fill(here[0])
    here[0].release()
    for job_id in first + waiting:
        here[0].wait(job_id, "completed")
    views = [view for future in looking for view in future.result()]
    seen = [
        (view["status"], view["queue_position"])
        for view in views
        if view["status"] not in ("completed", "failed", "cancelled")
    ]
    assert len(seen) > 24
    assert {status for status, place in seen if place is None} == {"processing"}
    assert {status for status, place in seen if place is not None} == {"pending"}
    assert here[0].memory()["peaks"]["pending"] == 10


def test_a_refused_upload_is_not_read(service: Running) -> None:
    fill(service)
    before = time.monotonic()
    assert service.upload(clip(size=29 * 1024 * 1024)).status_code == 503
    assert time.monotonic() - before < 5
    assert service.container.admission.uploading == 0


def test_uploads_under_way_count_towards_the_queue(serve: Callable[..., Running]) -> None:
    service = serve(max_pending=3)
    fill_two = [service.start("hold") for _ in range(2)]
    for job_id in fill_two:
        service.wait(job_id, "processing")
    answers: list[int] = []

    def slow() -> Any:
        yield b"--b\r\n" + b"x" * PROMISE_BYTES
        gate.wait(10)

    def send() -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = httpx.post(f"{service.http.base_url}/api/upload", content=slow(), headers=headers)
        answers.append(answer.status_code)

    gate = threading.Event()
    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(service.container.admission.held) == 3)
    assert service.memory()["jobs"]["uploading"] == 3
    assert service.upload().status_code == 503
    gate.set()
    for thread in threads:
        thread.join()
    # The three were no whole forms, and have given their places back.
    assert answers == [422] * 3
    assert [service.upload().status_code for _ in range(4)] == [202] * 3 + [503]


def test_uploads_that_trickle_keep_nobody_out(serve: Callable[..., Running]) -> None:
    service = serve(max_pending=3)
    gate = threading.Event()

    def trickle() -> Any:
        yield b"--b\r\n"
        gate.wait(30)

    def send() -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        httpx.post(f"{service.http.base_url}/api/upload", content=trickle(), headers=headers)

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    until(lambda: service.container.admission.uploading == 50)
    assert service.container.admission.held == set()
    for _ in range(10):
        answer = service.upload()
        assert answer.status_code == 202, answer.text
        service.wait(answer.json()["job_id"])
    gate.set()
    for thread in threads:
        thread.join()


def test_a_job_tells_its_times_and_memory(service: Running) -> None:
    job = service.wait(service.start())
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    assert job["memory_before_bytes"] > 0
    assert job["memory_after_bytes"] > 0
    assert job["summary"]["frames"] == 9
    assert set(job["downloads"]) == set(FILES)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("unreadable", "There is no picture in this file."), ("broken", "a part fell off")],
)
def test_a_job_that_fails_says_why_and_leaves_no_file(
    service: Running, behaviour: str, reason: str
) -> None:
    job = service.wait(service.start(behaviour))
    assert job["status"] == "failed"
    assert reason in job["error"]
    until(lambda: service.files() == [])
    assert service.wait(service.start())["status"] == "completed"


def test_a_completed_job_keeps_its_results_and_nothing_else(service: Running) -> None:
    service.wait(service.start())
    until(lambda: {p.name for p in service.files() if p.is_file()} == set(FILES.values()))
    assert not [path for path in service.files() if path.name == "scratch"]


def test_a_waiting_job_can_be_cancelled(service: Running) -> None:
    _, waiting = fill(service)
    files = len(service.files())
    assert service.http.post(f"/api/cancel/{waiting[3]}").json()["status"] == "cancelled"
    assert service.status(waiting[4])["queue_position"] == 4
    assert len(service.files()) < files
    assert service.upload().status_code == 202


def test_a_running_job_can_be_cancelled_and_the_next_one_starts(service: Running) -> None:
    first, waiting = fill(service)
    before = time.monotonic()
    assert service.http.post(f"/api/cancel/{first[0]}").json()["status"] == "cancelled"
    assert time.monotonic() - before < 2
    service.wait(waiting[0], "processing")


def test_a_completed_job_can_be_cancelled_and_gives_its_files_back(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    answers = [service.http.post(f"/api/cancel/{job_id}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert service.status(job_id)["status"] == "cancelled"
    assert service.files() == []
    assert service.http.get(f"/api/download/{job_id}/video").status_code == 409


def test_cancelling_a_failed_job_changes_nothing(service: Running) -> None:
    job_id = service.start("broken")
    job = service.wait(job_id)
    assert service.http.post(f"/api/cancel/{job_id}").json() == job


def test_two_cancels_at_once_both_succeed(service: Running) -> None:
    job_id = service.start("hold")
    service.wait(job_id, "processing")
    codes: list[int] = []

    def cancel() -> None:
        codes.append(httpx.post(f"{service.http.base_url}/api/cancel/{job_id}").status_code)

    threads = [threading.Thread(target=cancel) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200, 200]


def test_cleanup_removes_a_job_at_any_time(service: Running) -> None:
    running, done = service.start("hold"), service.start()
    service.wait(running, "processing")
    service.wait(done)
    for job_id in (running, done):
        assert service.http.delete(f"/api/cleanup/{job_id}").status_code == 200
        assert service.http.get(f"/api/status/{job_id}").status_code == 404
        assert service.http.delete(f"/api/cleanup/{job_id}").status_code == 404
    assert service.files() == []
    assert len(service.records()) == 0


def test_final_jobs_expire_with_their_files_and_others_do_not(
    serve: Callable[..., Running],
) -> None:
    clock = HandClock()
    parts = ServiceFactories(engine=make_engine, clock=lambda: clock)
    service = serve(parts, expiry_interval_seconds=0.05, max_processing=4)
    ended = [service.start("quick"), service.start("broken")]
    for job_id in ended:
        service.wait(job_id)
    holding = service.start("hold")
    service.wait(holding, "processing")
    clock.monotonic_ahead = 3550
    assert all(service.http.get(f"/api/status/{job_id}").is_success for job_id in ended)
    clock.monotonic_ahead = 3600.5
    # Over is over, also before the background task has come round; and it does come round.
    assert service.http.get(f"/api/status/{ended[0]}").status_code == 404
    until(lambda: len(service.records()) == 1)
    until(lambda: service.owners() == {holding: {"source"}})
    assert service.status(holding)["status"] == "processing"


def test_every_change_of_state_is_one_line_in_the_log(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)

    def logged() -> list[dict[str, Any]]:
        lines = [event for event in service.events() if event.get("job_id") == job_id]
        return lines if lines[-1]["status"] == "completed" else []

    # The status can be read as soon as it is recorded; the line is written after that.
    lines = until(logged)
    assert [line["status"] for line in lines] == ["pending", "processing", "completed"]
    assert lines[-1]["memory_before_bytes"] > 0
    assert lines[-1]["memory_after_bytes"] > 0


def test_a_job_that_takes_too_long_fails(serve: Callable[..., Running]) -> None:
    service = serve(max_job_seconds=0.2)
    job = service.wait(service.start("hold"))
    assert (job["status"], job["error"]) == ("failed", "Processing took longer than 0.2 s.")


def test_all_jobs_are_listed(service: Running) -> None:
    ids = [service.start() for _ in range(3)]
    listed = service.http.get("/api/jobs").json()
    assert [job["job_id"] for job in listed["jobs"]] == ids


def test_files_that_cannot_be_deleted_at_once_are_deleted_later(
    serve: Callable[..., Running],
) -> None:
    service = serve(expiry_interval_seconds=0.05)
    objects, scratch = service.container.objects, service.container.scratch
    assert isinstance(objects, LocalObjectStore)
    refusals = []

    def refusing(real: Callable[[str], None]) -> Callable[[str], None]:
        def refuse(name: str) -> None:
            if len(refusals) < 6:
                refusals.append(name)
                raise PermissionError(13, "on purpose")
            real(name)

        return refuse

    objects.delete_now = refusing(objects.delete_now)  # type: ignore[method-assign]
    scratch.remove = refusing(scratch.remove)  # type: ignore[method-assign]
    assert service.wait(service.start("broken"))["status"] == "failed"
    until(lambda: service.files() == [])
    assert len(refusals) == 6


def test_a_worker_that_cannot_be_made_fails_its_job_and_the_queue_goes_on(
    serve: Callable[..., Running],
) -> None:
    made = []

    def workers(settings: Settings, engine: Engine) -> WorkerFactory:
        make = make_worker_factory(settings, engine)

        def first_time_not(task: Task) -> Worker:
            made.append(task)
            if len(made) == 1:
                raise OSError(24, "Too many open files")
            return make(task)

        return first_time_not

    service = serve(ServiceFactories(engine=make_engine, workers=workers))
    job = service.wait(service.start())
    assert (job["status"], job["error"]) == ("failed", "The service failed on this job.")
    assert service.wait(service.start())["status"] == "completed"


@pytest.mark.parametrize("step", ["add", "position"])
def test_an_upload_that_cannot_be_queued_leaves_no_job(
    service: Running, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(service.container.store, step, broken)
        assert service.upload().status_code == 500
    assert service.files() == []
    assert len(service.records()) == 0
    assert service.container.admission.uploading == 0

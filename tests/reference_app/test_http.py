"""The wire: one form for all errors, HEAD and 405, the index, health and metrics."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from reference_app.clock import Clock
from reference_app.errors import StartupError
from reference_app.factories import ServiceFactories
from reference_app.jobs.events import JobEvents
from reference_app.jobs.store import JobStore, MemoryJobStore
from reference_app.settings import MIB, Settings
from reference_app.storage.instance import InstanceFolder, filesystem_of
from tests.reference_app.conftest import Running
from tests.reference_app.stand_in_engine import make_engine


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert {"type", "title", "detail", "instance"} <= body.keys()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/health", 405),
        ("GET", "/api/upload", 405),
        ("GET", "/api/status/unknown", 404),
        ("POST", "/api/cancel/unknown", 404),
        ("DELETE", "/api/cleanup/unknown", 404),
        ("GET", "/api/download/unknown/video", 404),
        ("GET", "/api/serve/unknown/video.mp4", 404),
        ("GET", "/api/jobs/unknown/events", 404),
        ("POST", "/api/upload", 415),
    ],
)
def test_every_error_is_a_problem(service: Running, method: str, path: str, status: int) -> None:
    assert_problem(service.http.request(method, path), status)


def test_a_range_that_cannot_be_had_is_a_problem(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    path = f"/api/download/{job_id}/video"
    beyond = service.http.get(path, headers={"Range": "bytes=999999-"})
    assert_problem(beyond, 416)
    assert beyond.headers["content-range"] == "bytes */200000"
    for no_range in ("bytes=x", "bytes=9-5", "lines=1-2", "bytes=" + "0-1," * 20 + "2-3"):
        assert service.http.get(path, headers={"Range": no_range}).status_code == 200


def test_a_copy_that_is_still_good_is_not_sent_again(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    path = f"/api/download/{job_id}/video"
    first = service.http.get(path)
    tag, moment = first.headers["etag"], first.headers["last-modified"]
    known = [{"If-None-Match": t} for t in (tag, f"W/{tag}", f'"other", {tag}', "*")]
    for headers in [*known, {"If-Modified-Since": moment}]:
        answer = service.http.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (304, b""), headers
        assert answer.headers["etag"] == tag
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": moment},
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Modified-Since": "rubbish"},
        {"If-Modified-Since": "Thu, 01 Jan 99999999999999 00:00:00 GMT"},
        {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 +99999999999999999"},
    ):
        assert service.http.get(path, headers=headers).status_code == 200


def test_an_event_stream_answers_head(service: Running) -> None:
    job_id = service.start("hold")
    head = service.http.head(f"/api/jobs/{job_id}/events")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    service.release()


def test_a_bug_is_a_problem_that_tells_nothing_of_the_inside(serve: Callable[..., Running]) -> None:
    class Broken(MemoryJobStore):
        async def count(self) -> dict[str, int]:
            raise RuntimeError("secret")

    def store(_settings: object, clock: Clock, _instance: object) -> JobStore:
        return Broken(clock)

    service = serve(ServiceFactories(engine=make_engine, store=store))
    answer = service.http.get("/health/memory")
    assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert service.http.get("/health").is_success


@pytest.mark.parametrize(
    "path", ["/", "/api", "/health", "/health/memory", "/metrics", "/api/jobs"]
)
def test_what_can_be_read_answers_head_too(service: Running, path: str) -> None:
    head = service.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert "GET" in service.http.put(path).headers["allow"]


def test_the_index_names_every_route(service: Running) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in service.http.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    named = set(service.http.get("/").json()["endpoints"])
    kinds = {name for name in named if name.startswith("GET /api/download/")}
    assert {kind.rsplit("/", 1)[1] for kind in kinds} == {"video", "csv", "preview", "thumbnail"}
    same = {"GET /", "GET /api", "GET /openapi.json"}
    wanted = {re.sub(r"/\{kind\}$", "/video", re.sub(r"\{name\}", "{file}", d)) for d in described}
    assert wanted - same == (named - kinds | {"GET /api/download/{job_id}/video"}) - same


def test_health_memory_tells_all_that_it_should(service: Running) -> None:
    figures = service.memory()
    assert figures["status"] in ("healthy", "warning", "critical")
    assert figures["timestamp"].endswith("+00:00")
    wanted = {"tree_bytes", "rss_bytes", "resting_bytes", "percent", "limit_bytes", "limit_source"}
    assert wanted <= figures["memory"].keys()
    assert set(figures["jobs"]) == {
        "pending", "processing", "completed", "failed", "cancelled", "uploading", "total",
    }  # fmt: skip
    assert set(figures["peaks"]) == {"processing", "pending", "memory_bytes", "resting_bytes"}
    assert figures["peaks"]["memory_bytes"] >= figures["memory"]["tree_bytes"] > MIB
    assert figures["limits"]["memory_hard_mb"] == 450
    share = 100 * figures["memory"]["tree_bytes"] / figures["memory"]["limit_bytes"]
    assert figures["memory"]["percent"] == pytest.approx(share, abs=0.1)


def test_metrics_count_and_never_name_a_job(service: Running) -> None:
    ids = [service.start(), service.start("broken")]
    for job_id in ids:
        service.wait(job_id)
    service.upload(b"text")
    page = service.http.get("/metrics").text
    assert 'reference_app_job_states_total{state="completed"} 1.0' in page
    assert 'reference_app_jobs{state="failed"} 1.0' in page
    assert 'reference_app_uploads_refused_total{status="422"} 1.0' in page
    assert 'reference_app_memory_bytes{kind="resting"}' in page
    assert not any(job_id in page for job_id in ids)


def test_two_apps_in_one_process_do_not_share_metrics(serve: Callable[..., Running]) -> None:
    first, second = serve(), serve()
    first.wait(first.start())
    assert 'state="completed"} 1.0' in first.http.get("/metrics").text
    assert 'states_total{state="completed"}' not in second.http.get("/metrics").text


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    assert (defaults.max_upload_mb, defaults.max_processing, defaults.max_pending) == (30, 2, 10)
    assert (defaults.job_ttl_seconds, defaults.max_duration_seconds) == (3600, 10)
    assert (defaults.memory_soft_mb, defaults.memory_hard_mb) == (400, 450)
    assert (defaults.frame_interval, defaults.output_width, defaults.workers) == (3, 720, "process")
    monkeypatch.setenv("MAX_PENDING", "3")
    monkeypatch.setenv("WORKERS", "thread")
    assert (Settings().max_pending, Settings().workers) == (3, "thread")
    monkeypatch.setenv("MAX_PENDING", "0")
    with pytest.raises(ValidationError):
        Settings()


def test_a_soft_limit_above_the_hard_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="MEMORY_SOFT_MB"):
        Settings(memory_soft_mb=500)


def test_the_kind_of_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    inner = tmp_path / "with space"
    escaped = str(inner).replace(" ", "\\040")
    mounts.write_text(f"/dev/x / ext4 rw 0 0\ntmpfs {escaped} tmpfs rw 0 0\n")
    assert filesystem_of(tmp_path / "a", mounts) == "ext4"
    inner.mkdir()
    assert filesystem_of(inner / "not" / "there" / "yet", mounts) == "tmpfs"


def test_a_spool_in_memory_needs_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_app.storage.instance.filesystem_of", lambda _: "tmpfs")
    with pytest.raises(StartupError, match="SPOOL_DIR"):
        InstanceFolder.take(tmp_path / "spool")
    allowed = InstanceFolder.take(tmp_path / "spool", allow_tmpfs=True)
    allowed.close(remove=True)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_spool_that_cannot_be_used_is_refused_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(StartupError, match="SPOOL_DIR"):
        InstanceFolder.take(tmp_path / "spool")


def test_a_slow_listener_loses_the_oldest_events_and_never_the_last() -> None:
    async def listen() -> list[object]:
        events = JobEvents(limit=3)
        with events.subscribe("job") as subscription:
            for number in range(100):
                events.publish("job", {"n": number}, version=number)
            events.publish("job", {"n": "end"}, version=100, last=True)
            return [await subscription.next(1) for _ in range(3)]

    assert asyncio.run(listen()) == [(99, {"n": 99}), (100, {"n": "end"}), None]


@pytest.mark.parametrize("flood", [b"X-Flood: " + b"y" * 500_000, b"X-Flood: y\r\n" * 50_000])
def test_headers_without_end_are_cut_off(service: Running, flood: bytes) -> None:
    url = service.http.base_url
    connection = socket.create_connection((url.host, url.port or 80), timeout=20)
    # Ended by the service while it is still sent: with an answer, or a reset.
    with connection, suppress(ConnectionError):
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n" + flood)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert service.http.get("/health").status_code == 200

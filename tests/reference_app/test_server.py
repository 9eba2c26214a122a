"""The service as a process with worker processes: deaths, signals, leftovers, health under load."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from fixtures.clips import clip as drawn_clip
from tests.reference_app.conftest import ROOT, Server, descriptors, served, until
from tests.reference_app.stand_in_engine import FILES


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of these runs any more."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def holding(server: Server, count: int = 2) -> list[str]:
    jobs = [server.start("hold") for _ in range(count)]
    for job_id in jobs[:2]:
        server.wait(job_id, "processing")
    until(lambda: len(server.workers()) == min(2, count))
    return jobs


def test_jobs_run_in_processes_that_end_with_them(server: Server) -> None:
    jobs = holding(server)
    workers = server.workers()
    server.release()
    for job_id in jobs:
        assert server.wait(job_id)["status"] == "completed"
    until(lambda: gone(workers))
    assert server.workers() == []


def test_a_killed_worker_fails_its_job_alone_and_the_next_one_runs(server: Server) -> None:
    jobs = holding(server, 3)
    victim = server.workers()[0]
    victim.kill()
    failed = until(lambda: [j for j in jobs if server.status(j)["status"] == "failed"])
    assert len(failed) == 1
    assert "killed from outside (SIGKILL)" in server.status(failed[0])["error"]
    server.release()
    others = [server.wait(job_id)["status"] for job_id in jobs if job_id not in failed]
    assert others == ["completed", "completed"]


def test_a_worker_that_vanishes_fails_its_job(server: Server) -> None:
    job = server.wait(server.start("vanish"))
    assert job["status"] == "failed"
    assert "without a result" in job["error"]


def test_a_killed_forkserver_is_replaced(server: Server) -> None:
    jobs = holding(server)
    workers = server.workers()
    for parent in {worker.parent() for worker in workers}:
        assert parent is not None
        parent.kill()
    assert [server.wait(job_id)["status"] for job_id in jobs] == ["failed", "failed"]
    until(lambda: gone(workers))
    assert server.wait(server.start())["status"] == "completed"


def test_cancel_ends_the_process_within_two_seconds(server: Server) -> None:
    jobs = holding(server)
    workers = server.workers()
    before = time.monotonic()
    for job_id in jobs:
        assert server.http.post(f"/api/cancel/{job_id}").json()["status"] == "cancelled"
    assert time.monotonic() - before < 2
    assert gone(workers)
    assert server.files() == []


@pytest.mark.slow
def test_jobs_leave_no_descriptor_thread_or_process(server: Server) -> None:
    def footprint() -> tuple[int, int]:
        process = psutil.Process(server.process.pid)
        return descriptors(process), len(server.tree())

    for behaviour in ("quick", "broken", "vanish"):
        server.wait(server.start(behaviour))
    before = until(footprint)
    for behaviour in ("quick", "broken", "vanish") * 3:
        server.wait(server.start(behaviour))
    until(lambda: footprint() == before)


def test_sigterm_lets_running_jobs_finish_and_keeps_the_others(tmp_path: Path) -> None:
    with served(tmp_path / "spool") as server:
        jobs = holding(server, 3)
        tree = server.tree()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in server.process.output())
        server.release()
        server.process.wait(20)
        log = server.process.output()
    assert log.count('"job completed"') == 2
    assert '"job cancelled"' not in log
    until(lambda: gone(tree))
    # The results of two, and the upload of the one that waits.
    assert server.owners() == {
        jobs[0]: set(FILES.values()),
        jobs[1]: set(FILES.values()),
        jobs[2]: {"source"},
    }


def test_a_service_without_jobs_leaves_nothing_when_it_ends(tmp_path: Path) -> None:
    with served(tmp_path / "spool") as server:
        job_id = server.start()
        server.wait(job_id)
        server.http.delete(f"/api/cleanup/{job_id}")
        server.terminate()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_download_that_nobody_reads_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with served(tmp_path / "spool", DRAIN_SECONDS="1") as server:
        job_id = server.start("big")
        server.wait(job_id, "completed")
        with socket.socket() as client:
            # No more than what fits into this is ever taken; the rest waits in the server.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.http.base_url.port or 80))
            client.sendall(b"GET /api/download/%s/video HTTP/1.1\r\n" % job_id.encode())
            client.sendall(b"Host: test\r\n\r\n")
            assert client.recv(16).startswith(b"HTTP/1.1 200")
            assert server.terminate(seconds=15) == -signal.SIGTERM


def test_open_streams_and_stalled_uploads_end_at_once(tmp_path: Path) -> None:
    with served(tmp_path / "spool", DRAIN_SECONDS="60") as server:
        (job_id,) = holding(server, 1)
        url = server.http.base_url

        def stalled() -> object:
            yield b"--b\r\n"
            time.sleep(60)

        def upload() -> None:
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            with pytest.raises(httpx.TransportError):
                raise_for_503(httpx.post(f"{url}/api/upload", content=stalled(), headers=headers))

        def raise_for_503(answer: httpx.Response) -> None:
            assert answer.status_code == 503
            raise httpx.TransportError("refused, which is as good")

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        until(lambda: server.memory()["jobs"]["uploading"] == 1)
        with httpx.stream("GET", f"{url}/api/jobs/{job_id}/events", timeout=20) as events:
            lines = events.iter_lines()
            next(lines)
            before = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            list(lines)
            server.release()
            server.process.wait(40)
            assert time.monotonic() - before < 15, server.process.output()


def test_a_killed_service_leaves_no_process(tmp_path: Path) -> None:
    with served(tmp_path / "spool") as server:
        holding(server)
        tree = server.tree()
        server.kill()
        until(lambda: gone(tree))


def test_two_services_on_one_spool_have_a_folder_each(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(spool) as server, served(spool) as second:
        assert len(list(spool.glob("instance-*"))) == 2
        done = [(one, one.start()) for one in (server, second)]
        for one, job_id in done:
            assert one.wait(job_id)["status"] == "completed"
        assert [job["job_id"] for job in second.http.get("/api/jobs").json()["jobs"]] == [
            done[1][1]
        ]


@pytest.mark.slow
def test_the_api_process_never_loads_what_only_workers_need(tmp_path: Path) -> None:
    clip = drawn_clip(width=320, height=240, seconds=0.3)
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        answer = server.upload(clip.path.read_bytes())
        job = server.wait(answer.json()["job_id"])
        assert job["status"] == "completed", job
        assert job["summary"]["frames"] == clip.frames
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    for library in ("cv2", "mediapipe", "pandas", "numpy", "/av/"):
        assert f"site-packages/{library.strip('/')}" not in maps


def test_importing_the_service_imports_nothing_heavy() -> None:
    code = (
        "import sys, reference_app.main; "
        "print([m for m in ('cv2', 'mediapipe', 'pandas', 'numpy', 'av') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_workers_start_with_the_libraries_loaded_and_give_way_to_the_api(server: Server) -> None:
    holding(server)
    # No lower than the lowest, where the whole test run is nice already.
    expected = min(19, psutil.Process(server.process.pid).nice() + 5)
    for worker in server.workers():
        until(lambda: worker.nice() == expected)  # noqa: B023
        assert "mediapipe" in Path(f"/proc/{worker.pid}/maps").read_text()
        environment = worker.environ()
        assert environment["MALLOC_ARENA_MAX"] == "1"


def test_memory_at_the_start_is_that_of_a_service_that_rests(server: Server) -> None:
    at_start = server.memory()["memory"]["rss_bytes"]
    server.wait(server.start())
    assert server.memory()["memory"]["rss_bytes"] < at_start * 1.1


def test_running_workers_are_not_resting_memory(server: Server) -> None:
    idle = server.memory()["memory"]
    holding(server)
    busy = server.memory()["memory"]
    assert busy["workers_bytes"] > 0
    assert busy["resting_bytes"] + busy["workers_bytes"] == busy["tree_bytes"]
    # Pages that were the forkserver's alone are shared now, so it can only look smaller.
    assert busy["resting_bytes"] < idle["resting_bytes"] * 1.1


def test_health_memory_agrees_with_a_look_from_outside(server: Server) -> None:
    server.wait(server.start())
    reported = server.memory()["memory"]["tree_bytes"]
    processes = [psutil.Process(server.process.pid), *server.tree()]
    seen = sum(process.memory_full_info().pss for process in processes)
    assert reported == pytest.approx(seen, rel=0.05)


@pytest.mark.slow
def test_health_stays_quick_while_two_jobs_run(tmp_path: Path) -> None:
    content = drawn_clip(width=1280, height=720, seconds=4.0).path.read_bytes()
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        jobs = [server.upload(content).json()["job_id"] for _ in range(4)]
        server.wait(jobs[1], "processing", "completed")
        latencies = []
        while server.status(jobs[-1])["status"] not in ("completed", "failed"):
            before = time.monotonic()
            assert server.http.get("/health").status_code == 200
            latencies.append(time.monotonic() - before)
            time.sleep(0.005)
        assert all(server.status(job_id)["status"] == "completed" for job_id in jobs)
    assert len(latencies) > 100
    assert statistics.quantiles(latencies, n=100)[98] < 0.1


def test_threads_serve_the_same_way(tmp_path: Path) -> None:
    with served(tmp_path / "spool", WORKERS="thread", DRAIN_SECONDS="0.5") as server:
        jobs = [server.start("hold") for _ in range(2)]
        for job_id in jobs:
            server.wait(job_id, "processing")
        assert server.tree() == []
        before = time.monotonic()
        assert server.http.post(f"/api/cancel/{jobs[0]}").json()["status"] == "cancelled"
        assert time.monotonic() - before < 2
        server.terminate()
        assert [path for path in server.files() if "scratch" in path.parts] == []


def test_a_spool_in_memory_is_refused_at_the_start(tmp_path: Path) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no tmpfs here")
    command = [sys.executable, "-m", "uvicorn", "reference_app.main:app", "--port", "0"]
    environment = {**os.environ, "SPOOL_DIR": f"/dev/shm/{tmp_path.name}"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    (line,) = (line for line in ended.stderr.splitlines() if '"the service did not start"' in line)
    assert "Point SPOOL_DIR at a disk" in json.loads(line)["reason"]
    assert not Path(environment["SPOOL_DIR"]).exists()


@contextmanager
def short_of_descriptors(spool: Path) -> Iterator[tuple[Server, Callable[[bytes], None]]]:
    """A service with room for 40 connections, and what opens 80 that all send the same."""
    with served(spool, UVICORN_TIMEOUT_KEEP_ALIVE="75") as server, ExitStack() as stack:
        process = psutil.Process(server.process.pid)
        most = process.num_fds() + 40
        process.rlimit(psutil.RLIMIT_NOFILE, (most, most))
        address = (server.http.base_url.host, server.http.base_url.port or 80)

        def open_all(request: bytes) -> None:
            for _ in range(80):
                stack.enter_context(socket.create_connection(address)).sendall(request)

        yield server, open_all


@pytest.mark.slow
def test_idle_connections_neither_silence_health_nor_flood_the_log(tmp_path: Path) -> None:
    with short_of_descriptors(tmp_path / "spool") as (server, open_all):
        before = len(server.process.output())
        open_all(b"")
        assert_health_answers(server)
        until(lambda: "want of descriptors" in server.process.output())
        assert len(server.process.output()) - before < 5_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/health", ""),
        ("/api/jobs/{job_id}/events", ""),
        ("/api/jobs/{job_id}/events", "Content-Length: 9\r\n"),
    ],
)
def test_answered_and_listening_connections_do_not_silence_health(
    tmp_path: Path, path: str, headers: str
) -> None:
    with short_of_descriptors(tmp_path / "spool") as (server, open_all):
        job_id = server.start("hold")
        server.wait(job_id, "processing")
        until(server.workers)
        target = path.format(job_id=job_id)
        open_all(f"GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode())
        assert_health_answers(server)
        server.release()
        assert server.wait(job_id)["status"] == "completed"


def assert_health_answers(server: Server) -> None:
    for _ in range(3):
        assert httpx.get(f"{server.http.base_url}/health", timeout=5).status_code == 200


def test_a_connection_that_sends_no_request_is_ended(tmp_path: Path) -> None:
    with served(tmp_path / "spool", HEADER_SECONDS="0.5") as server:
        address = (server.http.base_url.host, server.http.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as silent:
            silent.sendall(b"GET /health HTTP/1.1\r\nHost: a")
            # Ended by the service: with an end of file, or a reset.
            with suppress(ConnectionResetError):
                assert silent.recv(100) == b""

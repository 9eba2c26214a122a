"""Subjects that serve: an application with the agent inside, and the ones seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leak_suite.errors import ConfigurationError, SubjectError, SubjectHung
from leak_suite.subject import (
    AppSpec,
    CommandSpec,
    Coverage,
    PidSpec,
    Subject,
    UrlSpec,
)
from leak_suite.subject.app import AppSubject
from leak_suite.subject.url import number_at

APP = """
import asyncio, json, os
kept = []
tasks = set()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path == "/leak":
        kept.append(bytearray(5000))
    elif path == "/task":
        task = asyncio.ensure_future(asyncio.sleep(3600))
        tasks.add(task)
    elif path == "/background":
        asyncio.ensure_future(asyncio.sleep(0.02))
    elif path == "/descriptor":
        kept.append(os.open(os.devnull, os.O_RDONLY))
    elif path == "/hang":
        await asyncio.sleep(3600)
    elif path == "/die":
        os._exit(7)
    body = json.dumps({"jobs": {"kept": len(kept)}, "rss_mb": [1.5]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

WORKLOADS = """
def clean(client): client.get("/").raise_for_status()
def leak(client): client.get("/leak").raise_for_status()
async def leak_async(client): (await client.get("/leak")).raise_for_status()
def task(client): client.get("/task").raise_for_status()
def background(client): client.get("/background").raise_for_status()
def descriptor(client): client.get("/descriptor").raise_for_status()
def hang(client): client.get("/hang")
def die(client): client.get("/die")
"""

# The same service without anything to install: a plain WSGI server.
SERVER = """
import json, os, sys, time
from wsgiref.simple_server import WSGIRequestHandler, make_server
kept = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        kept.append(bytearray(50_000))
    elif environ["PATH_INFO"] == "/descriptor":
        kept.append(os.open(os.devnull, os.O_RDONLY))
    elif environ["PATH_INFO"] == "/hang":
        time.sleep(3600)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"jobs": {"kept": len(kept)}, "rss_mb": [1.5]}).encode()]

class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass

make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet).serve_forever()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    (tmp_path / "drive.py").write_text(WORKLOADS)
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


def grown(subject: Subject, metric: str, iterations: int = 20) -> float:
    before = subject.round(10, seconds=30).values[metric]
    one = subject.round(iterations, seconds=30, guard_factor=1000)
    assert one.error is None, one.error
    after = one.values[metric]
    assert before is not None
    assert after is not None
    return (after - before) / one.done


@pytest.mark.parametrize(
    ("workload", "metric", "expected"),
    [
        ("leak", "heap", 5000),
        ("leak_async", "heap", 5000),
        ("task", "tasks", 1),
        ("descriptor", "fds", 1),
        ("clean", "fds", 0),
        ("clean", "threads", 0),
        ("background", "tasks", 0),
    ],
)
def test_an_application_is_measured_from_inside(
    place: Path, workload: str, metric: str, expected: float
) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:{workload}")
    with spec.open() as subject:
        iterations = 500 if metric == "heap" else 100
        # A few tasks of the last requests may run still at either reading of a busy machine;
        # a leaked one would be there for each request.
        assert grown(subject, metric, iterations) == pytest.approx(expected, rel=0.05, abs=0.2)
        assert not subject.about.blind


def test_requests_do_not_wait_for_the_network_to_pile_them_up(place: Path) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:clean")
    with spec.open() as subject:
        subject.round(100, seconds=10)  # a fresh connection is spared at first
        fastest = min(subject.round(5, seconds=5).seconds / 5 for _ in range(10))
    assert fastest < 0.03  # 0.04 where small packets are held back


def test_an_application_that_hangs_is_reported_and_ended(place: Path) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:hang")
    with spec.open() as subject, pytest.raises(SubjectHung):
        subject.round(1, seconds=1, timeout=1.0)


def test_an_application_that_dies_is_reported_with_its_status(place: Path) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:die")
    with spec.open() as subject, pytest.raises(SubjectError, match="status 7"):
        subject.round(1, seconds=1)


def test_a_workload_that_cannot_be_loaded_says_so(place: Path) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:missing")
    with pytest.raises(ConfigurationError, match="missing"):
        spec.open().__enter__()


def test_an_agent_that_does_not_answer_is_blind_and_stalls_nobody(place: Path) -> None:
    spec = AppSpec(f"{place}/service.py:app", f"{place}/drive.py:clean")
    with spec.open() as subject:
        assert subject.round(5, seconds=5).values["heap"] is not None
        assert isinstance(subject, AppSubject)
        os.kill(subject.agent.pid, signal.SIGSTOP)
        started = time.monotonic()
        values = subject.read()
        assert time.monotonic() - started < 20  # and not for ever
        assert values["heap"] is None
        assert values["rss"] is not None
        assert "heap" in subject.about.blind
        os.kill(subject.agent.pid, signal.SIGCONT)


@pytest.mark.parametrize("argument", ["{port}", "0"])
def test_a_command_is_seen_from_outside_and_by_its_agents(place: Path, argument: str) -> None:
    argv = (sys.executable, str(place / "server.py"), argument)
    with CommandSpec(argv, f"{place}/drive.py:descriptor").open() as subject:
        assert grown(subject, "fds") == 1
        assert subject.coverage() == Coverage(1, 1)
        assert not subject.about.not_observed
        assert "heap (main process)" in subject.about.self_check
        assert any(row[1] == os.devnull for row in subject.describe("fds"))


def test_a_command_that_hangs_is_reported_and_killed(place: Path) -> None:
    argv = (sys.executable, str(place / "server.py"), "{port}")
    with CommandSpec(argv, f"{place}/drive.py:hang").open() as subject:
        with pytest.raises(SubjectHung, match="not answered within 1 s"):
            subject.round(1, seconds=1, timeout=1.0)
        with pytest.raises(SubjectError, match="SIGKILL"):
            subject.round(1, seconds=1)


def test_memory_of_a_command_grows_in_every_resident_metric(place: Path) -> None:
    argv = (sys.executable, str(place / "server.py"), "{port}")
    for metric in ("rss", "rss_anon", "pss"):
        with CommandSpec(argv, f"{place}/drive.py:leak").open() as subject:
            assert grown(subject, metric, 200) == pytest.approx(50_000, rel=0.2)


def test_a_command_that_fails_is_reported_with_its_output(place: Path) -> None:
    argv = (sys.executable, "-c", "raise SystemExit('no such thing')")
    with pytest.raises(SubjectError, match="no such thing"):
        CommandSpec(argv, f"{place}/drive.py:clean").open().__enter__()


@pytest.fixture
def server(place: Path) -> Iterator[tuple[int, int]]:
    """(pid, port) of a server that somebody else runs."""
    argv = (sys.executable, str(place / "server.py"), "{port}")
    subject = CommandSpec(argv, f"{place}/drive.py:clean").open()
    with subject:
        tree = subject._tree  # type: ignore[attr-defined]
        yield tree.processes()[0].pid, tree.listening_port()


def test_a_running_process_is_measured_and_left_running(
    place: Path, server: tuple[int, int]
) -> None:
    with PidSpec(server[0], f"{place}/drive.py:descriptor").open() as subject:
        assert grown(subject, "fds") == 1
    os.kill(server[0], 0)


def test_a_process_without_a_workload_is_only_watched(server: tuple[int, int]) -> None:
    with PidSpec(server[0]).open() as subject:
        assert grown(subject, "fds", 2) == 0


def test_numbers_of_a_health_endpoint_are_read(place: Path, server: tuple[int, int]) -> None:
    url = f"http://127.0.0.1:{server[1]}/"
    spec = UrlSpec(url, "jobs.kept,rss_mb.0", f"{place}/drive.py:leak")
    with spec.open() as subject:
        assert grown(subject, "counter:jobs.kept") == 1
        assert subject.read()["counter:rss_mb.0"] == 1.5 * 1024**2


def test_a_path_that_is_not_there_or_no_number_is_refused() -> None:
    data = json.loads('{"a": [{"b": 3}], "c": "text"}')
    assert number_at(data, "$.a.0.b") == 3
    for path in ("a.1.b", "a.x", "c", "d"):
        with pytest.raises(ConfigurationError, match=path.split(".")[0]):
            number_at(data, path)


def test_a_pid_that_is_not_there_is_refused() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with pytest.raises(SubjectError, match=str(ended.pid)):
        PidSpec(ended.pid).open().__enter__()

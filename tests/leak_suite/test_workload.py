"""Workloads of every form: with a client or without, with set-up and clearing up, and journeys."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from leak_suite.errors import ConfigurationError
from leak_suite.subject import CommandSpec
from leak_suite.subject.routes import RoutesInUse
from leak_suite.subject.workload import Workload, needs_client
from leak_suite.workloads import poll, poll_async

SOURCE = """
import contextlib

CALLS = []

def alone(): CALLS.append("alone")
def with_client(client): CALLS.append(client.get("/").text)
async def async_with_client(client): CALLS.append((await client.get("/")).text)
async def async_alone(): CALLS.append("async alone")
def with_default(size=3): CALLS.append(size)
def too_many(client, name): ...

def prepared():
    CALLS.append("set up")
    yield alone
    CALLS.append("cleared up")

def prepared_with_client(client):
    CALLS.append(client.get("/").text)
    yield lambda client: CALLS.append(client.get("/again").text)
    CALLS.append("cleared up")

def resumed():
    CALLS.append("set up")
    while True:
        yield
        CALLS.append("resumed")

@contextlib.contextmanager
def managed():
    CALLS.append("set up")
    yield alone
    CALLS.append("cleared up")

async def async_prepared(client):
    CALLS.append("set up")
    yield async_alone
    CALLS.append("cleared up")

def broken():
    raise OSError("no such basket")
    yield

async def many_requests(client):
    await client.get("/")
    await client.get("/items/7?page=2")
    await client.get("/fails")

def fails(client): client.get("/fails").raise_for_status()
"""


class Handler(BaseHTTPRequestHandler):
    """Answers the path; after an error it closes the connection that the client would keep."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(500 if self.path == "/fails" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path != "/"

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "workloads_of_the_test.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("workloads_of_the_test", None)


def calls_of(place: Path, name: str, url: str | None, iterations: int = 2) -> list[object]:
    workload = Workload(f"{place}:{name}", url, lambda: (0, 0, 0, 0, 0), lambda: None)
    try:
        done, _, _, error = workload.round(iterations, seconds=9, guard_factor=1e9, timeout=None)
        assert (done, error) == (iterations, None)
    finally:
        workload.close()
    found: list[object] = sys.modules["workloads_of_the_test"].CALLS
    return found


def test_the_requests_of_a_workload_are_noted(place: Path, url: str) -> None:
    place.write_text('NOT_CALLED = [("POST", "/upload"), ("GET", "/")]\n' + SOURCE)
    routes = RoutesInUse()
    target = f"{place}:many_requests"
    workload = Workload(target, url, lambda: (0, 0, 0, 0, 0), lambda: None, routes=routes)
    try:
        workload.round(1, seconds=9, guard_factor=1e9, timeout=None)
    finally:
        workload.close()
    assert routes.not_called() == ("POST /upload",)
    assert routes.refused() == ("GET /fails (500)",)


@pytest.mark.parametrize("wrong", ['"POST /upload"', '["/upload"]', '[("POST",)]', "[1]"])
def test_a_wrong_list_of_routes_says_how_it_is_written(place: Path, wrong: str) -> None:
    place.write_text(f"NOT_CALLED = {wrong}\n{SOURCE}")
    with pytest.raises(ConfigurationError, match=r"beside the workload .*NOT_CALLED must be"):
        Workload(f"{place}:alone", None, lambda: (0, 0, 0, 0, 0), lambda: None)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("alone", ["alone", "alone"]),
        ("async_alone", ["async alone", "async alone"]),
        ("with_default", [3, 3]),
        ("prepared", ["set up", "alone", "alone", "cleared up"]),
        ("managed", ["set up", "alone", "alone", "cleared up"]),
        ("resumed", ["set up", "resumed", "resumed"]),
    ],
)
def test_a_workload_of_no_argument_needs_no_address(
    place: Path, name: str, calls: list[object]
) -> None:
    assert calls_of(place, name, None) == calls


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("with_client", ["/", "/"]),
        ("async_with_client", ["/", "/"]),
        ("prepared_with_client", ["/", "/again", "/again", "cleared up"]),
        ("async_prepared", ["set up", "async alone", "async alone", "cleared up"]),
    ],
)
def test_a_workload_that_takes_a_client_gets_one_for_the_service(
    place: Path, url: str, name: str, calls: list[object]
) -> None:
    assert calls_of(place, name, url) == calls


def test_which_workloads_need_an_address_is_known_before_anything_starts(place: Path) -> None:
    assert needs_client(f"{place}:with_client")
    assert needs_client(f"{place}:prepared_with_client")
    assert not needs_client(f"{place}:alone")
    assert not needs_client(f"{place}:managed")
    with pytest.raises(ConfigurationError, match="takes client, name"):
        needs_client(f"{place}:too_many")


def test_a_client_without_an_address_is_refused_with_what_to_do(place: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"listens on no port; write \{port\}"):
        calls_of(place, "with_client", None)


def test_a_set_up_that_fails_is_reported_as_such(place: Path) -> None:
    with pytest.raises(ConfigurationError, match="could not be set up: OSError: no such basket"):
        calls_of(place, "broken", None)


def test_a_connection_that_the_server_closed_is_not_the_workloads_failure(
    place: Path, url: str
) -> None:
    assert calls_of(place, "prepared_with_client", url, 20)[-1] == "cleared up"


FAILING = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)
        try:
            {}["basket"]
        except KeyError:
            import traceback
            traceback.print_exc()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_workload_that_fails_brings_the_subjects_own_traceback(
    place: Path, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text(textwrap.dedent(FAILING))
    argv = (sys.executable, str(tmp_path / "server.py"), "{port}")
    with CommandSpec(argv, f"{place}:fails").open() as subject:
        done = subject.round(1, seconds=5)
    assert done.error is not None
    assert "500" in done.error
    assert done.output.endswith("KeyError: 'basket'")


@pytest.mark.parametrize("silent", [True, False])
def test_a_command_without_a_port_is_ready_by_its_output_or_by_its_first_call(
    place: Path, tmp_path: Path, silent: bool
) -> None:
    source = "import time\nprint('now ready', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "daemon.py").write_text(source)
    spec = CommandSpec(
        (sys.executable, "daemon.py"),
        f"{place}:alone",
        ready_when="" if silent else "now ready",
        environment=(("COLOUR", "red"),),
        folder=tmp_path,
    )
    with spec.open() as subject:
        assert subject.round(3, seconds=5).done == 3


def test_a_command_without_a_workload_has_time_as_its_iteration(tmp_path: Path) -> None:
    with CommandSpec((sys.executable, "-c", "import time; time.sleep(60)")).open() as it:
        assert it.round(3, seconds=5).done == 3


def test_polling_says_what_it_waited_for_and_what_it_saw() -> None:
    states = iter(["pending", "pending", "completed"])
    assert poll(lambda: next(states), until=lambda s: s == "completed", interval=0) == "completed"
    with pytest.raises(TimeoutError, match="waited 0 s for job 7 to end; it last was 'pending'"):
        poll(lambda: "pending", until=lambda s: s != "pending", timeout=0, what="job 7 to end")


def test_polling_can_be_awaited() -> None:
    states = iter([0, 0, 5])

    async def read() -> int:
        return next(states)

    assert asyncio.run(poll_async(read, interval=0)) == 5

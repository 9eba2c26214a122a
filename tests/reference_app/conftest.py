"""A service for a test: inside this process to reach into it, or as a process to do harm to."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest
import uvicorn

from fixtures.servers import ServerMissing
from fixtures.servers.postgres import PostgresServer, postgres_server
from fixtures.servers.s3 import S3Server, s3_server
from leak_suite.service_process import ServiceProcess
from reference_app.app import create_app
from reference_app.clock import SystemClock
from reference_app.container import ServiceContainer
from reference_app.factories import ServiceFactories
from reference_app.jobs.model import Job
from reference_app.settings import Settings
from tests.reference_app.redis_broker import RedisBroker, redis_broker
from tests.reference_app.stand_in_engine import RELEASE, clip, make_engine

ROOT = Path(__file__).parents[2]
FINAL = {"completed", "failed", "cancelled"}

Result = TypeVar("Result")


class HandClock(SystemClock):
    """A clock whose two faces a test can move."""

    wall_ahead = 0.0
    monotonic_ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.wall_ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.monotonic_ahead


def descriptors(process: psutil.Process) -> int:
    """How many are open, without those of connections that clients hold as long as they like."""
    connections = process.net_connections("tcp")
    held = sum(one.status == psutil.CONN_ESTABLISHED for one in connections)
    return process.num_fds() - held


def settled(reading: Callable[[], Any]) -> Any:
    """What is read five times in a row: threads that are just ending have ended by then."""
    last, same = reading(), 1
    while same < 5:
        time.sleep(0.01)
        now = reading()
        last, same = now, same + 1 if now == last else 1
    return last


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """What `condition` gives as soon as it holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.01)
    return value


@dataclass
class Client:
    """What a user of the service does."""

    http: httpx.Client
    spool: Path

    def upload(
        self, content: bytes | None = None, name: str = "a.mp4", kind: str = "video/mp4"
    ) -> httpx.Response:
        """Send a file."""
        body = clip() if content is None else content
        return self.http.post("/api/upload", files={"file": (name, body, kind)})

    def start(self, behaviour: str = "quick") -> str:
        """The id of a new job."""
        answer = self.upload(clip(behaviour))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def status(self, job_id: str) -> dict[str, Any]:
        """A job as a client sees it."""
        return dict(self.http.get(f"/api/status/{job_id}").json())

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job, once it is in one of these states (any final one by default)."""
        wanted = set(states) or FINAL
        return dict(until(lambda: (v := self.status(job_id))["status"] in wanted and v))

    def memory(self) -> dict[str, Any]:
        """`/health/memory`."""
        return dict(self.http.get("/health/memory").json())

    def release(self) -> None:
        """Let all jobs that hold go on."""
        (self.spool / RELEASE).touch()

    def files(self) -> list[Path]:
        """Everything of jobs in the spool, folders too; deletions under way do no harm."""
        found = []
        for kind in ("objects/jobs", "scratch"):
            for root in self.spool.glob(f"instance-*/{kind}"):
                for folder, folders, names in os.walk(root):
                    found += [Path(folder) / name for name in (*folders, *names)]
        return found

    def owners(self) -> dict[str, set[str]]:
        """The names of the files of each job, whatever the attempt."""
        found: dict[str, set[str]] = {}
        for path in self.files():
            if path.is_file():
                below = path.parts[path.parts.index(self.spool.name) + 2 :]
                job_id = below[2] if below[0] == "objects" else below[1].partition("-")[0]
                found.setdefault(job_id, set()).add(path.name)
        return found


@dataclass
class Running(Client):
    """A service in this process, in a thread of its own."""

    container: ServiceContainer
    loop: asyncio.AbstractEventLoop
    log: io.StringIO

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def records(self) -> list[Job]:
        """Every record of a job."""
        return self.call(self.container.store.all())

    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def running(settings: Settings, factories: ServiceFactories | None = None) -> Iterator[Running]:
    """Serve in a thread; reach the parts through `container`."""
    log = io.StringIO()
    chosen = factories or ServiceFactories(engine=make_engine)
    app = create_app(settings, replace(chosen, log_stream=log))
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield Running(http, settings.spool_dir, app.state.container, loop, log)
    finally:
        (settings.spool_dir / RELEASE).touch()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the service did not end"
        loop.close()


def settings_for(spool: Path, **changes: Any) -> Settings:
    """Settings for a test: threads, and short timeouts."""
    spool.mkdir(exist_ok=True)
    values = {"workers": "thread", "spool_dir": spool, "drain_seconds": 2.0, **changes}
    return Settings(**values)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start services in this process; they end with the test."""
    with ExitStack() as stack:

        def start(factories: ServiceFactories | None = None, **changes: Any) -> Running:
            settings = settings_for(tmp_path / "spool", **changes)
            return stack.enter_context(running(settings, factories))

        yield start


@pytest.fixture
def service(serve: Callable[..., Running]) -> Running:
    """One service with the usual limits."""
    return serve()


@dataclass
class Server(Client):
    """A service in a process of its own."""

    process: ServiceProcess

    def tree(self) -> list[psutil.Process]:
        """The processes below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """The processes that do jobs: grandchildren, by way of the forkserver."""
        return [p for c in psutil.Process(self.process.pid).children() for p in c.children()]

    def terminate(self, number: int = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Kill the server alone: what it started has to notice by itself."""
        self.terminate(signal.SIGKILL, 10)


@contextmanager
def served(
    spool: Path, target: str = "tests.reference_app.stand_in:app", **environment: str
) -> Iterator[Server]:
    """Serve `target` the way the README says, with these variables."""
    spool.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "uvicorn", target, "--port", "{port}", "--no-access-log"]
    variables = {"SPOOL_DIR": str(spool), **environment}
    with ServiceProcess(command, folder=ROOT, environment=variables) as process:
        process.wait_until_healthy(60)
        with httpx.Client(base_url=process.base_url, timeout=30) as http:
            server = Server(http, spool, process)
            try:
                yield server
            finally:
                tree = server.tree() if process.alive else []
                server.kill()
                psutil.wait_procs(tree, 10)


@contextmanager
def or_skip(variable: str) -> Iterator[None]:
    """Skip the test where a server is not installed, but for a machine that says it must be."""
    try:
        yield
    except ServerMissing as missing:
        if os.environ.get(variable):
            raise
        pytest.skip(str(missing))


# Not for longer than a file: their memory counts as that of a service in this process.
@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of a file; each makes databases of its own."""
    with or_skip("LEAK_SUITE_REQUIRE_POSTGRES"), postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisBroker]:
    """One Redis for all tests of a file."""
    with redis_broker() as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests of a file; each takes a prefix of its own."""
    with or_skip("LEAK_SUITE_REQUIRE_S3"), s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for all tests of a file: starting one costs seconds."""
    with served(tmp_path_factory.mktemp("served") / "spool") as running_server:
        yield running_server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The service as a process, with worker processes, and the stand-in for the pipeline.

    It comes without jobs, and is left so.
    """
    yield shared_server
    for job in shared_server.http.get("/api/jobs").json()["jobs"]:
        shared_server.http.delete(f"/api/cleanup/{job['job_id']}")
    (shared_server.spool / RELEASE).unlink(missing_ok=True)
    until(lambda: not shared_server.workers())

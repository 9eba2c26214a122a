"""The gate on servers, workers and queues as people start them: right verdict, right line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.catalogue.servers import redis_server
from leak_suite.result import Outcome, RunResult

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BIN = Path(sys.executable).parent
GUNICORN = "gunicorn -w 2 -b 127.0.0.1:{port}"
PACKAGES = ("gunicorn", "flask", "django", "celery", "rq", "dramatiq", "uvicorn", "fastapi")


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class FrontDoor:
    """An example: its command with the module's name in it, its two modules, the line that leaks.

    `line` is what stands on the first line that is named, `file` where.
    """

    folder: str
    workload: str
    command: str
    file: str
    line: str
    twins: tuple[str, str]
    options: tuple[str, ...] = ()
    redis: bool = False
    leaky_workload: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, *, leaky: bool) -> list[str]:
        """The words after `leak-suite run`."""
        words = self.command.replace("TWIN", self.twins[leaky]).split()
        if not self.workload:
            return words
        workload = (leaky and self.leaky_workload) or self.workload
        return ["--workload", workload, *self.options, "--", *words]


FRONT_DOORS = (
    FrontDoor(
        "gunicorn_flask", "workload.py:visit", f"{GUNICORN} TWIN:app",
        "app_leaky.py", r"remembered\[name\] =", ("app", "app_leaky"),
    ),
    FrontDoor(
        "gunicorn_django", "workload.py:read", f"{GUNICORN} -e DJANGO_SETTINGS_MODULE=TWIN wsgi",
        "history_leaky.py", r"self\.pages\.append", ("site_settings", "site_settings_leaky"),
    ),
    FrontDoor(
        "uvicorn_workers", "workload.py:vote", "uvicorn TWIN:app --workers 2 --port {port}",
        "app_leaky.py", r"voters\.append", ("app", "app_leaky"),
    ),
    FrontDoor(
        "celery_tasks", "push.py:push", "celery -A TWIN worker -c 2 --loglevel WARNING",
        "tasks_leaky.py", r"text = |invoices\.append", ("tasks", "tasks_leaky"), redis=True,
    ),
    FrontDoor(
        "rq_jobs", "push.py:push", "rq worker pages -w rq.SimpleWorker",
        "jobs_leaky.py", r"index\[page\] =", ("", ""), redis=True,
        leaky_workload="push.py:push_leaky",
    ),
    FrontDoor(
        "dramatiq_actors", "push.py:push", "dramatiq TWIN -p 2 -t 4",
        "actors_leaky.py", r"counter = |counted\.append", ("actors", "actors_leaky"), redis=True,
    ),
    FrontDoor(
        "multiprocessing_batch", "", "TWIN.py:job",
        "batch_leaky.py", r"picture = |drawn\.append", ("batch", "batch_leaky"),
    ),
    FrontDoor(
        "asyncio_daemon", "workload.py:ask", "python TWIN.py",
        "daemon_leaky.py", r"text = |answers\[article\] =", ("daemon", "daemon_leaky"),
        ("--ready-when", "waiting for"),
    ),
)  # fmt: skip


def needs_redis() -> None:
    """Skip where there is no Redis server, unless there has to be one."""
    if shutil.which("redis-server") is None and not os.environ.get("LEAK_SUITE_REQUIRE_REDIS"):
        pytest.skip("no redis-server on PATH")


@pytest.fixture(params=FRONT_DOORS, ids=lambda door: door.folder)
def door(request: pytest.FixtureRequest) -> FrontDoor:
    for package in PACKAGES:
        pytest.importorskip(package)
    found: FrontDoor = request.param
    return found


@pytest.fixture
def environment(door: FrontDoor, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The variables of the example, and its Redis while the test lasts."""
    values = {
        **os.environ,
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "PRICES_SOCKET": str(tmp_path / "prices.sock"),
    }
    if not door.redis:
        yield values
        return
    needs_redis()
    with redis_server(tmp_path) as url:
        yield {**values, "REDIS_URL": url, "RQ_REDIS_URL": url}


def gate(
    door: FrontDoor, out: Path, environment: Mapping[str, str], *, leaky: bool
) -> tuple[int, RunResult]:
    """Run the command as a person would, and read its run file."""
    file = out / "run.json"
    words = [sys.executable, "-m", "leak_suite", "run", "-o", str(file)]
    done = subprocess.run(
        [*words, *door.arguments(leaky=leaky)],
        cwd=EXAMPLES / door.folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert file.exists(), done.stdout + done.stderr
    return done.returncode, RunResult.read(file)


def test_a_clean_front_door_is_stable(
    door: FrontDoor, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    status, result = gate(door, tmp_path, environment, leaky=False)
    assert (status, result.outcome) == (0, Outcome.STABLE), result.reason


def test_a_leaking_front_door_grows_and_its_line_is_named_first(
    door: FrontDoor, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    status, result = gate(door, tmp_path, environment, leaky=True)
    assert (status, result.outcome) == (1, Outcome.GROWING), result.reason
    named = [f.sites[0] for f in result.findings if f.outcome is Outcome.GROWING and f.sites]
    assert named, "no line is named"
    texts = [
        Path(site.file).read_text(encoding="utf-8").splitlines()[site.line - 1]
        for site in named
        if Path(site.file).name == door.file
    ]
    assert any(re.search(door.line, text) for text in texts), named


def test_the_flamegraph_of_a_celery_child_shows_its_task(tmp_path: Path) -> None:
    """Real tasks over a real Redis, while the child is recorded."""
    for package in ("celery", "memray"):
        pytest.importorskip(package)
    needs_redis()
    with redis_server(tmp_path) as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "leak_suite", "flamegraph", "-o", str(tmp_path / "fg")),
                *("--workload", "push.py:push", "--"),
                *("celery", "-A", "tasks_leaky", "worker", "-c", "2", "--loglevel", "WARNING"),
            ],
            cwd=EXAMPLES / "celery_tasks",
            env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "REDIS_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d KiB +tasks_leaky\.py:17 invoice$", done.stdout, re.MULTILINE), done.stdout
    (page,) = (tmp_path / "fg").glob("*worker-1.html")
    assert f"forked from celery: {page}" in done.stdout
    assert '"invoice"' in page.read_text(encoding="utf-8")

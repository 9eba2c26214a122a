"""Real services under real kernel limits; skipped, with the reason, where none can be set."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from leak_suite.cli import main
from leak_suite.fit import FitOptions, FitResult, run_fit
from leak_suite.fit.backends import select_backend
from leak_suite.fit.page_cache import cached_bytes, drop_page_cache
from leak_suite.fit.result import FitCause
from leak_suite.result import Outcome
from leak_suite.result_file import read_result
from leak_suite.subject import CommandSpec

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[2]
BACKEND = select_backend()
needs_a_limit = pytest.mark.skipif(
    not BACKEND.enforced, reason=f"NO MEMORY LIMIT CAN BE SET HERE: {BACKEND.unavailable}"
)

SERVER = """
import mmap, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

# It grows by a MiB each few milliseconds: one that dies between two samples has no name to give.
CHILD = '''
import mmap, sys, time
held = mmap.mmap(-1, int(sys.argv[1]) << 20)
for _ in range(int(sys.argv[1])):
    held.write(b"x" * (1 << 20))
    time.sleep(0.002)
'''

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        _, what, size = self.path.split("/")
        size = int(size)
        if what == "own":
            held = b"x" * (size << 20)
        elif what == "child":
            subprocess.run([sys.executable, "-c", CHILD, str(size)])
        elif what == "read":
            with open(sys.argv[2], "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                for _ in range(size):
                    sum(mapped[at] for at in range(0, len(mapped), 65536))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WORKLOADS = """
import time
def small(client): client.get("/own/1").raise_for_status()
def medium(client): client.get("/own/60").raise_for_status()
def big(client): client.get("/own/300").raise_for_status()
def child(client): client.get("/child/300").raise_for_status()
def read(client): client.get("/read/3").raise_for_status()
def slow(client): time.sleep(600)
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "work.py").write_text(WORKLOADS)
    return tmp_path


def spec(folder: Path, workload: str) -> CommandSpec:
    argv = (sys.executable, str(folder / "server.py"), "{port}", str(folder / "data"))
    return CommandSpec(argv, f"{folder / 'work.py'}:{workload}")


def tried(folder: Path, workload: str, mib: int = 128, **options: object) -> FitResult:
    chosen = FitOptions(mib * MIB, iterations=3, max_seconds=30, **options)  # type: ignore[arg-type]
    return run_fit(spec(folder, workload), chosen)


def left_over() -> list[str]:
    return [path for path, *_ in os.walk("/sys/fs/cgroup") if f"/leak-suite-{os.getpid()}-" in path]


@needs_a_limit
def test_a_small_service_fits_and_its_peak_is_split(service: Path) -> None:
    result = tried(service, "small")
    assert result.outcome is Outcome.STABLE
    assert result.cause is FitCause.FITS
    assert result.counters.oom_kills == 0
    assert result.limit.backend == BACKEND.name
    peak = result.peak
    assert peak.anon is not None
    assert peak.kernel is not None
    assert peak.unreclaimable is not None
    assert 2 * MIB < peak.anon < 64 * MIB
    assert peak.kernel > 0
    assert result.headroom is not None
    assert result.headroom.bytes == 128 * MIB - peak.unreclaimable
    assert {series.metric for series in result.series} == {"anon", "file", "kernel", "pss"}
    assert left_over() == []


@needs_a_limit
def test_a_server_that_is_killed_does_not_fit(service: Path) -> None:
    result = tried(service, "big")
    assert result.outcome is Outcome.OVER_BUDGET
    assert result.cause is FitCause.KILLED
    assert result.counters.limit_hits
    assert [process.is_server for process in result.killed] == [True]
    assert not result.server_alive
    assert left_over() == []


@needs_a_limit
def test_a_child_that_is_killed_is_named_although_the_server_lives(service: Path) -> None:
    result = tried(service, "child")
    assert result.outcome is Outcome.OVER_BUDGET
    assert result.cause is FitCause.KILLED
    assert result.server_alive
    assert all(not process.is_server for process in result.killed)
    assert "mmap" in result.killed[0].command
    assert "although the server lives" in result.reason


@needs_a_limit
@pytest.mark.slow
def test_a_service_that_only_pages_is_thrashing(service: Path) -> None:
    (service / "data").write_bytes(os.urandom(96 * MIB))
    result = tried(service, "read", mib=40)
    assert result.outcome is Outcome.OVER_BUDGET
    assert result.cause is FitCause.THRASHING
    assert result.counters.oom_kills == 0


@needs_a_limit
@pytest.mark.slow
def test_the_smallest_limit_that_passes_lies_above_what_the_service_holds(service: Path) -> None:
    result = tried(service, "medium", find_minimum=True, tolerance_bytes=4 * MIB)
    minimum = result.minimum
    assert minimum is not None
    assert minimum.bytes is not None
    assert 60 * MIB < minimum.bytes < 100 * MIB
    assert result.headroom is not None
    assert result.headroom.bytes == 128 * MIB - minimum.bytes
    failed = [step.limit for step in minimum.steps if not step.passed]
    assert minimum.bytes - max(failed) <= 4 * MIB


@needs_a_limit
def test_the_pages_of_its_files_are_dropped_before(service: Path) -> None:
    data = service / "data"
    data.write_bytes(os.urandom(8 * MIB))
    dropped = tried(service, "read").page_cache
    assert dropped is not None
    assert dropped.files > 3
    assert dropped.bytes > 8 * MIB


def test_without_a_backend_nothing_is_enforced_and_the_status_is_2(
    service: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(service)
    command = [sys.executable, str(service / "server.py"), "{port}"]
    flags = ["fit", "--memory", "128M", "--backend", "docker", "--iterations", "2"]
    status = main([*flags, "--workload", "work.py:small", "-o", "out/run.json", "--", *command])
    assert status == 2
    assert "NOT ENFORCED" in capsys.readouterr().out
    result = read_result(service / "out" / "run.json")
    assert isinstance(result, FitResult)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert not result.limit.enforced
    assert result.peak.pss is not None
    assert result.peak.pss > 4 * MIB


@needs_a_limit
def test_the_command_prints_everything_and_show_prints_the_same(
    service: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(service)
    command = [sys.executable, str(service / "server.py"), "{port}"]
    flags = ["fit", "--plan", "render-starter", "--users", "2", "--iterations", "4"]
    assert main([*flags, "--workload", "work.py:small", "-o", "run.json", "--", *command]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("FITS: fits in render-starter (512 MiB, as of")
    for word in ("peak anonymous", "headroom", BACKEND.name, "swap off"):
        assert word in printed
    assert main(["show", "run.json"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--memory", "512M", "--plan", "render-free"], "give the limit"),
        (["--memory", "lots"], "is not a size"),
        (["--plan", "render-huge"], "known are render-free"),
        (["--memory", "512M", "--users", "0"], "users must be above zero"),
        (["--memory", "512M", "--backend", "magic"], "known are cgroup v2"),
        (["--memory", "1M", "--backend", "a", "--way", "b"], "deprecated name of --backend"),
        (["--memory", "512M", "--app", "a:b", "--workload", "nonsense"], "must be written"),
    ],
)
def test_a_wrong_option_is_status_2_and_says_what_to_give(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--app" not in flags:
        flags = [*flags, "--app", "a:b", "--workload", "w:f"]
    assert main(["fit", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_service_that_does_not_even_work_unlimited_is_status_2(service: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such luck')", "{port}"]
    flags = ["fit", "--memory", "128M", "--workload", f"{service / 'work.py'}:small"]
    assert main([*flags, "--", *command]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_group_and_no_process(service: Path, number: int) -> None:
    command = [sys.executable, str(service / "server.py"), "{port}"]
    flags = ["fit", "--memory", "128M", "--workload", f"{service / 'work.py'}:slow"]
    run = subprocess.Popen(
        [sys.executable, "-m", "leak_suite", *flags, "--", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    server: psutil.Process | None = None
    while server is None and time.monotonic() - began < 30:
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(run.pid).children()
            server = next((c for c in found if "server.py" in " ".join(c.cmdline())), None)
        time.sleep(0.01)
    assert server is not None
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "stopped before it could judge" in said
    # Its parent is gone too: it is for the system to collect what little is left of it.
    with contextlib.suppress(psutil.NoSuchProcess):
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    groups = [path for path, *_ in os.walk("/sys/fs/cgroup") if f"leak-suite-{run.pid}-" in path]
    assert groups == []


def test_a_result_is_read_back_as_it_was_written(service: Path) -> None:
    result = tried(service, "small", backend="docker")
    assert FitResult.from_data(json.loads(result.to_json())) == result


def test_a_dropped_file_is_no_longer_in_memory(tmp_path: Path) -> None:
    if filesystem_of(tmp_path) == "tmpfs":
        pytest.skip(f"{tmp_path} is in memory itself: nothing of it can be dropped")
    path = tmp_path / "library.so"
    path.write_bytes(os.urandom(4 * MIB))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.read_bytes()
    assert cached_bytes([str(path)]) == 4 * MIB
    dropped = drop_page_cache([str(path), "/dev/null", "[heap]", str(tmp_path / "gone.so")])
    assert (dropped.method, dropped.files, dropped.bytes) == ("posix_fadvise", 1, 4 * MIB)
    assert dropped.still_cached == 0


def filesystem_of(path: Path) -> str:
    done = subprocess.run(
        ("stat", "-f", "-c", "%T", str(path)), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()

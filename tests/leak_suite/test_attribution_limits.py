"""What attribution says where it cannot know, and on subjects of other kinds."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from leak_suite.attribution import attribute, attribute_afresh
from leak_suite.clauses import plain
from leak_suite.options import Options
from leak_suite.result import Cause, Finding, Outcome
from leak_suite.subject import AppSpec, CallableSpec, InProcessSpec

KEPT: list[object] = []


def growing(metric: str, rate: float = 1.0) -> Finding:
    unit = "bytes" if metric == "heap" else "things"
    return Finding(metric, unit, Outcome.GROWING, Cause.LEAK, rate=rate, clauses=plain("It grows."))


def written(tmp_path: Path, source: str, name: str = "subject.py") -> Path:
    path = tmp_path / name
    path.write_text(textwrap.dedent(source))
    return path


def test_memory_taken_through_ctypes_is_charged_to_its_line_by_the_heap(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        import ctypes
        LIBC = ctypes.CDLL(None)
        SEEN = []

        def job():
            SEEN.append(None)
            text = "x" * 5000
            LIBC.malloc(4096)  # LEAK
            return text
        """,
    )
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [growing("heap", 4112.0)],
        iterations=300,
        warm_up=10,
        options=Options(),
    )
    assert path.read_text().splitlines()[found.sites[0].line - 1].endswith("# LEAK")
    assert found.sites[0].per_iteration == pytest.approx(4112, rel=0.05)
    assert "heap read after each own line" in found.reason


LIBRARY = """
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
void *keep(void *size) { return memset(malloc((size_t)size), 1, (size_t)size); }
void keep_in_thread(size_t size) {
    pthread_t thread;
    pthread_create(&thread, 0, keep, (void *)size);
    pthread_join(thread, 0);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_memory_of_native_threads_is_charged_to_the_line_that_waits_for_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "keeper.c").write_text(LIBRARY)
    library = tmp_path / "libkeeper.so"
    command = ["cc", "-shared", "-fPIC", "-O0", "-o", str(library), "keeper.c", "-lpthread"]
    subprocess.run(command, check=True, cwd=tmp_path)
    path = written(
        tmp_path,
        f"""
        import ctypes
        LIBRARY = ctypes.CDLL("{library}")
        LIBRARY.keep_in_thread.argtypes = [ctypes.c_size_t]

        def job():
            text = [None] * 2000
            LIBRARY.keep_in_thread(50_000)  # LEAK
            return text
        """,
    )
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [growing("heap", 50_000.0)],
        iterations=300,
        warm_up=10,
        options=Options(),
    )
    assert path.read_text().splitlines()[found.sites[0].line - 1].endswith("# LEAK")
    assert "keep (libkeeper.so)" in found.sites[0].note


def test_a_traced_run_that_dies_is_begun_again_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        import os
        import signal
        KEPT = []

        def job():
            KEPT.append(bytearray(2000))  # LEAK
            try:
                os.close(os.open(__file__ + ".died", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [growing("heap", 2000.0)],
        iterations=40,
        warm_up=2,
        options=Options(),
    )
    assert Path(f"{path}.died").exists()
    assert "# LEAK" in path.read_text().splitlines()[(found.sites[0].line or 0) - 1]


def test_a_subject_that_ends_while_it_is_traced_leaves_the_verdict_standing(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        import itertools
        import os
        NUMBERS = itertools.count()
        KEPT = []

        def job():
            KEPT.append(bytearray(2000))
            if next(NUMBERS) == 60:
                os._exit(7)
        """,
    )
    spec = CallableSpec(f"{path}:job")
    with spec.open() as subject:
        subject.round(40, seconds=10.0)
        (found,) = attribute(
            subject, spec, [growing("heap", 2000.0)], iterations=40, options=Options(), pace=1e-3
        )
    assert found.outcome is Outcome.GROWING
    assert found.sites == ()
    assert "ended while it was traced" in found.reason
    assert "status 7" in found.reason


@pytest.mark.slow
def test_eight_bytes_an_iteration_are_found_under_a_full_cache_of_five_thousand(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path,
        """
        import functools
        import itertools
        NUMBERS = itertools.count()
        KEPT = []

        @functools.lru_cache(maxsize=5000)
        def look_up(number):
            return bytes(4000)

        def job():
            look_up(next(NUMBERS))
            KEPT.append(None)  # LEAK
        """,
    )
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [growing("heap", 8.0)],
        iterations=15000,
        warm_up=100,
        options=Options(),
    )
    first = found.sites[0]
    assert path.read_text().splitlines()[first.line - 1].endswith("# LEAK")
    assert first.per_iteration == pytest.approx(8, rel=0.3)


def test_a_workload_that_fails_while_it_is_traced_leaves_the_verdict_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "def job():\n    raise RuntimeError('not today')\n")
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"), [growing("heap")], iterations=9, warm_up=0, options=Options()
    )
    assert found.outcome is Outcome.GROWING
    assert found.sites == ()
    assert "did not succeed" in found.reason
    assert "not today" in found.reason


def test_retention_and_counters_are_not_traced() -> None:
    retained = Finding("rss", "bytes", Outcome.GROWING, Cause.RETENTION, rate=9.0)
    found = attribute_afresh(
        CallableSpec("nowhere:job"), [retained], iterations=9, warm_up=0, options=Options()
    )
    assert found == (retained,)
    (counter,) = attribute_afresh(
        CallableSpec("nowhere:job"),
        [growing("counter:jobs")],
        iterations=9,
        warm_up=0,
        options=Options(),
    )
    assert "No line is named for a counter" in counter.reason


def test_growth_that_tracing_does_not_look_for_says_so_and_hides_no_other_line(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "KEPT = []\ndef job():\n    KEPT.append(bytearray(2000))  # LEAK\n")
    mapped, heap = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [growing("mapped_files"), growing("heap", 2000.0)],
        iterations=40,
        warm_up=2,
        options=Options(),
    )
    assert mapped.sites == ()
    assert "tracing does not look for what mapped_files counts" in mapped.reason
    assert heap.sites[0].line == 3


def keep_one() -> None:
    KEPT.append(bytearray(3000))  # LEAK


def test_a_callable_of_this_process_is_traced_here() -> None:
    line = keep_one.__code__.co_firstlineno + 1
    try:
        heap, blocks = attribute_afresh(
            InProcessSpec(keep_one, "keep_one"),
            [growing("heap", 3000.0), growing("blocks")],
            iterations=50,
            warm_up=5,
            options=Options(),
        )
    finally:
        KEPT.clear()
    assert (heap.sites[0].file, heap.sites[0].line) == (__file__, line)
    assert blocks.sites[0].line == line
    assert heap.sites[0].per_iteration == pytest.approx(3000, rel=0.1)
    assert "KEPT (list, 1 per iteration)" in heap.sites[0].note


MARKS = {"heap": "JOB", "tracked:Job": "JOB", "fds": "FILE", "tasks": "TASK"}


@pytest.mark.slow
@pytest.mark.parametrize("metric", MARKS)
def test_an_application_is_traced_inside_its_server(metric: str, tmp_path: Path) -> None:
    app = written(
        tmp_path,
        """
        import asyncio

        JOBS, FILES, TASKS = {}, [], set()

        class Job:
            def __init__(self):
                self.data = bytearray(5000)

        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            JOBS[len(JOBS)] = Job()  # JOB
            FILES.append(open(__file__))  # FILE
            TASKS.add(asyncio.create_task(asyncio.Event().wait()))  # TASK
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        """,
        "webapp.py",
    )
    work = written(
        tmp_path, "def work(client):\n    client.get('/').raise_for_status()\n", "work.py"
    )
    (found,) = attribute_afresh(
        AppSpec(f"{app}:app", f"{work}:work"),
        [growing(metric, 5100.0 if metric == "heap" else 1.0)],
        iterations=40,
        warm_up=5,
        options=Options(),
    )
    lines = app.read_text().splitlines()
    assert found.sites, found.reason
    assert lines[found.sites[0].line - 1].endswith(f"# {MARKS[metric]}")
    assert found.sites[0].file == str(app)

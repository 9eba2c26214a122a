"""The first site is where what is kept was made or put in: real traces of jobs so marked."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from leak_suite.attribution import attribute_afresh
from leak_suite.options import Options
from leak_suite.result import Cause, Finding, Outcome, Site
from leak_suite.subject import CallableSpec

MARK = "# LEAK"

CASES = {
    "a list that is appended to": (
        "heap blocks",
        """
        KEPT = []

        def job():
            text = [str(number) for number in range(20)]
            KEPT.append(bytes(1000))  # LEAK
            return len(text)
        """,
    ),
    "a dictionary used as a cache without bound": (
        "heap blocks rss",
        """
        import itertools
        NUMBERS = itertools.count()
        CACHE = {}

        def job():
            number = next(NUMBERS)
            CACHE[number] = ("%06d" % number) * 200  # LEAK
        """,
    ),
    "eight bytes under a full cache": (
        "blocks",
        """
        import functools
        import itertools
        NUMBERS = itertools.count()
        KEPT = []

        @functools.lru_cache(maxsize=500)
        def look_up(number):
            return bytes(4000)

        def job():
            for _ in range(5):
                look_up(next(NUMBERS))
            KEPT.append(object())  # LEAK
        """,
    ),
    "objects in a registry": (
        "gc_objects tracked:Job blocks",
        """
        class Job:
            def __init__(self, number):
                self.number = number
                self.parts = []

        class Registry:
            def __init__(self):
                self.jobs = {}

        REGISTRY = Registry()

        def job():
            number = len(REGISTRY.jobs)
            made = Job(number)  # LEAK
            REGISTRY.jobs[number] = made  # LEAK
        """,
    ),
    "closures kept by a global list": (
        "gc_objects blocks",
        """
        CALLBACKS = []

        def job():
            state = object()
            CALLBACKS.append(lambda: state)  # LEAK
        """,
    ),
    "closures over a local name": (
        "blocks heap gc_objects",
        """
        CALLBACKS = []

        def job():
            body = bytes(1500)  # LEAK
            CALLBACKS.append(lambda: len(body))  # LEAK
        """,
    ),
    "a cache without bound, keyed by a counter": (
        "blocks rss",
        """
        import functools
        CALLS = 0

        @functools.lru_cache(maxsize=None)
        def render(key):
            return key.to_bytes(4, "big") * 300  # LEAK

        def job():
            global CALLS
            CALLS += 1
            render(CALLS)
        """,
    ),
    "exceptions kept with their tracebacks": (
        "gc_objects",
        """
        ERRORS = []

        def fail():
            big = [None] * 10
            raise ValueError(big)  # LEAK

        def job():
            try:
                fail()
            except ValueError as error:
                ERRORS.append(error)  # LEAK
        """,
    ),
    "a cycle that the collector may not take": (
        "gc_objects",
        """
        KEPT = []

        class Node:
            def __del__(self):
                KEPT.append(self)  # LEAK

        def job():
            node = Node()  # LEAK
            node.self = node  # LEAK
        """,
    ),
    "files that are not closed": (
        "fds",
        """
        KEPT = []

        def job():
            with open(__file__) as file:
                file.read(10)
            KEPT.append(open(__file__))  # LEAK
        """,
    ),
    "sockets that are not closed": (
        "fds",
        """
        import socket
        KEPT = []

        def job():
            left, right = socket.socketpair()  # LEAK
            left.close()
            KEPT.append(right)
        """,
    ),
    "pipes that are not closed": (
        "fds",
        """
        import os
        KEPT = []

        def job():
            reading, writing = os.pipe()  # LEAK
            os.close(writing)
        """,
    ),
    "a database connection opened by C code": (
        "fds",
        """
        import os
        import sqlite3
        import tempfile
        KEPT = []
        PATH = os.path.join(tempfile.mkdtemp(), "db")

        def job():
            connection = sqlite3.connect(PATH)  # LEAK
            connection.execute("select name from sqlite_master").fetchall()
            KEPT.append(connection)
        """,
    ),
    "threads that never end": (
        "threads python_threads",
        """
        import threading
        NEVER = threading.Event()

        def job():
            done = threading.Thread(target=int)
            done.start()
            done.join()
            threading.Thread(target=NEVER.wait, daemon=True).start()  # LEAK
        """,
    ),
    "tasks that never end": (
        "tasks",
        """
        import asyncio
        KEPT = set()

        async def wait():
            await asyncio.Event().wait()

        async def job():
            await asyncio.create_task(asyncio.sleep(0))
            KEPT.add(asyncio.create_task(wait()))  # LEAK
        """,
    ),
    "children that are not waited for": (
        "children",
        """
        import subprocess
        import sys
        KEPT = []

        def job():
            KEPT.append(subprocess.Popen(["sleep", "30"]))  # LEAK
        """,
    ),
    "temporary files that are not removed": (
        "temp_files",
        """
        import os
        import tempfile

        def job():
            handle, path = tempfile.mkstemp()
            os.close(handle)
            os.remove(path)
            handle, path = tempfile.mkstemp(dir=tempfile.mkdtemp())  # LEAK
            os.close(handle)
        """,
    ),
    "a helper in another module": (
        "blocks gc_objects",
        """
        import json
        KEPT = []

        def remember(text):
            KEPT.append(json.loads(text))  # LEAK

        def job():
            remember('{"a": [1, 2, 3]}')
        """,
    ),
    "a leak beside one large late jump": (
        "heap",
        """
        import itertools
        NUMBERS = itertools.count()
        KEPT = []
        LATE = []

        def job():
            if next(NUMBERS) == 500:
                LATE.append(bytes(10000000))
            KEPT.append(bytes(2000))  # LEAK
        """,
    ),
    "a library that keeps what it was given": (
        "blocks",
        """
        import logging

        def job():
            logging.getLogger("name %d" % len(logging.root.manager.loggerDict))  # LEAK
        """,
    ),
}

CASES["two_hold_it"] = (
    "heap",
    """
    class Buffers:
        def __init__(self):
            self.free = []
            self.all = []

        def take(self):
            if len(self.free) < 0:
                return self.free.pop()
            buffer = bytearray(20_000)
            self.all.append(buffer)  # LEAK
            return buffer

    BUFFERS = Buffers()

    def job():
        BUFFERS.free.append(BUFFERS.take())
    """,
)

RATES = {"children": 1.0, "heap": 1000.0, "rss": 1000.0}


def finding(metric: str) -> Finding:
    unit = "bytes" if metric in ("heap", "rss") else "things"
    return Finding(metric, unit, Outcome.GROWING, Cause.LEAK, rate=RATES.get(metric, 1.0))


def sites_of(tmp_path: Path, source: str, metrics: str, **more: object) -> tuple[Finding, ...]:
    path = tmp_path / "subject.py"
    path.write_text(textwrap.dedent(source))
    return attribute_afresh(
        CallableSpec(f"{path}:job"),
        [finding(metric) for metric in metrics.split()],
        iterations=300,
        warm_up=20,
        options=Options(max_seconds=20),
        **more,  # type: ignore[arg-type]
    )


def marked_lines(source: str) -> set[int]:
    lines = textwrap.dedent(source).splitlines()
    return {number for number, line in enumerate(lines, 1) if MARK in line}


def named_lines(site: Site) -> set[int]:
    """Its line. On Python 3.10 an object's dict is made in `__init__`, so there its caller too."""
    if site.function != "__init__" or sys.version_info >= (3, 11):
        return {site.line}
    return {site.line, *(place.line for place in site.stack[:2])}


@pytest.mark.parametrize("case", CASES)
def test_the_first_site_is_the_marked_line(case: str, tmp_path: Path) -> None:
    metrics, source = CASES[case]
    for found in sites_of(tmp_path, source, metrics):
        assert found.sites, f"{found.metric}: {found.reason}"
        assert named_lines(found.sites[0]) & marked_lines(source), f"{found.metric}: {found.sites}"
        assert found.sites[0].file == str(tmp_path / "subject.py")


def test_what_watches_the_lines_is_no_growth_of_the_line_after(tmp_path: Path) -> None:
    source = """
        SEEN = {}

        def recommend(user):
            SEEN[user] = [str(user)]  # LEAK
            return SEEN[user]

        def job():
            recommend(len(SEEN))  # LEAK
        """
    path = tmp_path / "subject.py"
    path.write_text(textwrap.dedent(source))
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [Finding("blocks", "blocks", Outcome.GROWING, Cause.LEAK, rate=4.0)],
        iterations=300,
        warm_up=20,
        options=Options(max_seconds=20),
    )
    assert {site.line for site in found.sites} <= marked_lines(source), found.sites
    assert not any(site.is_jump for site in found.sites)


@pytest.mark.slow  # pools take long to end
def test_the_line_is_named_in_a_process_that_forks_while_it_is_traced(tmp_path: Path) -> None:
    source = """
        from multiprocessing import get_context
        KEPT = []

        def job():
            KEPT.append(bytes(20_000))  # LEAK
            with get_context("fork").Pool(2) as pool:
                pool.map(abs, range(4))
        """
    path = tmp_path / "subject.py"
    path.write_text(textwrap.dedent(source))
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [Finding("heap", "bytes", Outcome.GROWING, Cause.LEAK, rate=20_000.0)],
        iterations=12,
        warm_up=2,
        options=Options(max_seconds=10),
    )
    assert [site.line for site in found.sites][:1] == sorted(marked_lines(source)), found.reason

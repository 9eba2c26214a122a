"""Leaks of what the operating system lends: descriptors, threads, children and files."""

from __future__ import annotations

import mmap
import os
import selectors
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import shared_memory
from pathlib import Path
from typing import IO

from benchmarks.leakbench.cases.case import Draw, Job, leak


@leak("fds", "blocks", "gc_objects", "heap", "rss")
def open_files(draw: Draw) -> Job:
    """A file opened for each request and held by a list."""
    files: list[IO[bytes]] = []
    buffering = draw.size(256, 8192)

    def job() -> None:
        files.append(Path(os.devnull).open("rb", buffering))  # LEAK

    return job


@leak("fds")
def bare_descriptors(draw: Draw) -> Job:
    """Descriptors without an object around them: practically no memory."""
    every = draw.count(1, 4)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            os.open(os.devnull, os.O_RDONLY)  # LEAK

    return job


@leak("fds", "blocks", "gc_objects", "rss", "heap")
def sockets_kept(draw: Draw) -> Job:
    """One end of a pair closed, the other forgotten."""
    ends: list[socket.socket] = []
    size = draw.count(1, 64)

    def job() -> None:
        left, right = socket.socketpair()  # LEAK
        left.send(bytes(size))
        left.close()
        ends.append(right)  # LEAK

    return job


@leak("fds")
def pipes_left_open(draw: Draw) -> Job:
    """The write end of a pipe never closed."""
    size = draw.count(1, 512)

    def job() -> None:
        reading, writing = os.pipe()  # LEAK
        os.write(writing, bytes(size))
        os.close(reading)

    return job


@leak("fds", "heap", "blocks", "gc_objects", "rss")
def sqlite_connections(draw: Draw) -> Job:
    """A connection for every call, closed by nobody."""
    database = str(Path(tempfile.mkdtemp()) / "rows.db")
    rows = draw.count(1, 50)
    with sqlite3.connect(database) as first:
        first.execute("create table rows (n integer)")
        first.executemany("insert into rows values (?)", [(n,) for n in range(rows)])
    first.close()
    connections: list[sqlite3.Connection] = []

    def job() -> None:
        connection = sqlite3.connect(database)  # LEAK
        connection.execute("select sum(n) from rows").fetchone()  # LEAK
        connections.append(connection)  # LEAK

    return job


@leak("fds", "blocks", "gc_objects", "rss", "heap")
def selectors_kept(draw: Draw) -> Job:
    """An epoll descriptor for every wait."""
    kept: list[selectors.BaseSelector] = []
    timeout = draw.count(0, 1) / 1e6

    def job() -> None:
        selector = selectors.DefaultSelector()  # LEAK
        selector.select(timeout)
        kept.append(selector)  # LEAK

    return job


@leak("fds", "rss", "blocks", "gc_objects")
def mapped_files(draw: Draw) -> Job:
    """A file mapped for reading, the mapping kept."""
    path = Path(tempfile.mkdtemp()) / "model.bin"
    path.write_bytes(bytes(draw.size(4096, 65536)))
    mappings: list[mmap.mmap] = []

    def job() -> None:
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # LEAK
        mapping.read(1)
        mappings.append(mapping)  # LEAK

    return job


@leak("fds", "rss", "blocks", "gc_objects")
def shared_memory_kept(draw: Draw) -> Job:
    """A shared segment for every frame, never closed; its name goes at once, so none outlives us."""
    segments: list[shared_memory.SharedMemory] = []
    size = draw.size(64, 8192)

    def job() -> None:
        segment = shared_memory.SharedMemory(create=True, size=size)  # LEAK
        segment.unlink()
        assert segment.buf is not None
        segment.buf[0] = 1
        segments.append(segment)  # LEAK

    return job


@leak("threads", "python_threads", "rss", "blocks", "gc_objects", "heap")
def threads_never_joined(draw: Draw) -> Job:
    """A thread waiting for an event that is never set, every few calls."""
    never = threading.Event()
    every = draw.count(1, 3)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            threading.Thread(target=never.wait, daemon=True).start()  # LEAK

    return job


@leak("threads", "python_threads", "rss", "blocks", "gc_objects", "heap")
def executors_never_shut_down(draw: Draw) -> Job:
    """A pool for every call; its thread waits for more work for ever."""
    pools: list[ThreadPoolExecutor] = []
    workers = draw.count(1, 4)

    def job() -> None:
        pool = ThreadPoolExecutor(workers)  # LEAK
        pool.submit(time.perf_counter).result()  # LEAK
        pools.append(pool)  # LEAK

    return job


@leak("children")
def zombies(draw: Draw) -> Job:
    """Children that ended and were never waited for."""
    arguments = ["true", *("x" * draw.count(1, 9))]

    def job() -> None:
        os.posix_spawnp("true", arguments, os.environ)  # LEAK

    return job


@leak("children", "fds", "blocks", "gc_objects", "heap", "rss")
def children_never_ended(draw: Draw) -> Job:
    """Children waiting for input that never comes."""
    children: list[subprocess.Popen[bytes]] = []
    pause = draw.count(2, 6) / 1000

    def job() -> None:
        children.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))  # LEAK
        # Processes cost everybody on the machine: not faster than a few hundred a second.
        time.sleep(pause)

    return job


@leak("temp_files", "temp_bytes")
def temp_files_left(draw: Draw) -> Job:
    """A spooled upload that nobody deletes."""
    body = bytes(draw.size(64, 16384))

    def job() -> None:
        handle, _ = tempfile.mkstemp()  # LEAK
        os.write(handle, body)
        os.close(handle)

    return job


@leak("temp_files")
def temp_folders_left(draw: Draw) -> Job:
    """A working folder for each job, left behind with a file in it."""
    body = b"x" * draw.size(64, 1024)

    def job() -> None:
        (Path(tempfile.mkdtemp()) / "frame.raw").write_bytes(body)  # LEAK

    return job


@leak("fds", "temp_files", "blocks", "gc_objects", "heap", "rss")
def temp_handles_kept(draw: Draw) -> Job:
    """Named temporary files held open by a list."""
    files: list[IO[bytes]] = []
    body = bytes(draw.size(64, 2048))

    def job() -> None:
        file = tempfile.NamedTemporaryFile()  # LEAK
        file.write(body)
        files.append(file)  # LEAK

    return job

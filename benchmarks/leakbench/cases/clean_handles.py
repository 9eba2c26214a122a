"""Clean: pools, threads, children and files that come and go."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.leakbench.cases.case import Draw, Job, clean


@clean
def pool_grows_to_its_workers(draw: Draw) -> Job:
    """A thread pool that starts a worker whenever none is idle, up to its bound."""
    workers = draw.count(2, 12)
    pool = ThreadPoolExecutor(workers)
    every = draw.size(1, 40)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        burst = workers if calls % every == 0 else 1
        for future in [pool.submit(sum, range(50)) for _ in range(burst)]:
            future.result()

    return job


@clean
def thread_started_at_first_use(draw: Draw) -> Job:
    """A flusher thread that starts with the call that first needs it."""
    stop = threading.Event()
    first = draw.size(1, 500)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls == first:
            threading.Thread(target=stop.wait, daemon=True).start()

    return job


@clean
def join_races(draw: Draw) -> Job:
    """Threads that have been joined, or all but ended, when the call returns."""
    count = draw.count(1, 6)

    def job() -> None:
        threads = [threading.Thread(target=sum, args=(range(20),)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads[:-1]:
            thread.join()

    return job


@clean
def stalling_worker(draw: Draw) -> Job:
    """A background writer that stalls now and then; its queue is bounded."""
    work: queue.Queue[bytes] = queue.Queue(maxsize=draw.size(20, 400))
    size = draw.size(64, 4096)
    pause = draw.count(1, 20) / 1000
    rng = draw.rng

    def write() -> None:
        while True:
            work.get()
            if rng.random() < 0.01:
                time.sleep(pause)

    threading.Thread(target=write, daemon=True).start()

    def job() -> None:
        work.put(bytes(size))

    return job


@clean
def thread_local_buffers(draw: Draw) -> Job:
    """A buffer for each worker, made when that worker first gets something to do."""
    local = threading.local()
    workers = draw.count(2, 8)
    pool = ThreadPoolExecutor(workers)
    size = draw.size(4096, 262144)

    def work() -> int:
        if not hasattr(local, "buffer"):
            local.buffer = bytearray(size)
        return len(local.buffer)

    def job() -> None:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()

    return job


@clean
def executor_for_each_call(draw: Draw) -> Job:
    """A pool made, used and shut down within the call."""
    workers = draw.count(1, 4)

    def job() -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(abs, range(workers)))

    return job


@clean
def connection_pool_fills_slowly(draw: Draw) -> Job:
    """One more connection every so many calls, up to the bound of the pool."""
    folder = tempfile.mkdtemp()
    database = str(Path(folder) / "rows.db")
    with contextlib.closing(sqlite3.connect(database)) as first:
        first.execute("create table rows (n integer)")
    pool: collections.deque[sqlite3.Connection] = collections.deque()
    bound = draw.count(3, 25)
    every = draw.size(1, 60)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if len(pool) < bound and calls % every == 0:
            pool.append(sqlite3.connect(database, check_same_thread=False))
        if pool:
            pool.rotate()
            pool[0].execute("select count(*) from rows").fetchone()

    return job


@clean
def connections_recycled(draw: Draw) -> Job:
    """Pairs of sockets kept a while, the oldest closed as a new one comes."""
    pairs: collections.deque[tuple[socket.socket, socket.socket]] = collections.deque()
    bound = draw.count(2, 30)

    def job() -> None:
        pairs.append(socket.socketpair())
        if len(pairs) > bound:
            for end in pairs.popleft():
                end.close()

    return job


@clean
def temp_files_deleted(draw: Draw) -> Job:
    """A spooled file, deleted with the call."""
    body = bytes(draw.size(64, 65536))

    def job() -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)

    return job


@clean
def temp_files_swept(draw: Draw) -> Job:
    """Results kept as files for a number of calls, then swept together."""
    files: list[str] = []
    period = draw.size(5, 120)

    def job() -> None:
        handle, path = tempfile.mkstemp()
        os.write(handle, b"result")
        os.close(handle)
        files.append(path)
        if len(files) >= period:
            for old in files:
                Path(old).unlink()
            files.clear()

    return job


@clean
def temp_folders_deleted(draw: Draw) -> Job:
    """A working folder for each call, deleted with all that is in it."""
    count = draw.count(1, 6)

    def job() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for n in range(count):
                (Path(folder) / f"{n}.raw").write_bytes(b"frame")

    return job


@clean
def log_files_rotated(draw: Draw) -> Job:
    """A log reopened under a new name every so often; the oldest file goes."""
    folder = Path(tempfile.mkdtemp())
    period = draw.size(5, 300)
    keep = draw.count(2, 6)
    calls = 0
    file = (folder / "0.log").open("w")

    def job() -> None:
        nonlocal calls, file
        calls += 1
        file.write("a line of the log\n")
        if calls % period == 0:
            file.close()
            number = calls // period
            file = (folder / f"{number}.log").open("w")
            (folder / f"{number - keep}.log").unlink(missing_ok=True)

    return job


@clean
def children_reaped(draw: Draw) -> Job:
    """A child for each call, waited for."""
    arguments = ["true", *("x" * draw.count(0, 5))]

    def job() -> None:
        subprocess.run(arguments, check=True)

    return job


@clean
def children_reaped_late(draw: Draw) -> Job:
    """Children waited for a few calls after they ended."""
    running: collections.deque[subprocess.Popen[bytes]] = collections.deque()
    bound = draw.count(1, 6)

    def job() -> None:
        running.append(subprocess.Popen(["true"]))
        if len(running) > bound:
            running.popleft().wait()

    return job


@clean
def pipes_closed(draw: Draw) -> Job:
    """Pipes and duplicates of them, all closed."""
    size = draw.count(1, 4096)

    def job() -> None:
        reading, writing = os.pipe()
        again = os.dup(writing)
        os.write(again, bytes(size))
        os.read(reading, size)
        for descriptor in (reading, writing, again):
            os.close(descriptor)

    return job

"""What runs inside a worker process, from its first line to its last message."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait

from reference_app.pipeline import PipelineFactories, process
from reference_app.pipeline.budget import confine
from reference_app.pipeline.errors import JobFailed, PipelineError
from reference_app.pipeline.task import Progress, Summary, Task

__all__ = ["Engine", "main", "noop", "pipeline_engine", "run_engine"]

Engine = Callable[[Task, Callable[[Progress], None], Callable[[], bool]], Summary]

_REPORT_SECONDS = 0.1
_MAX_REASON = 500


def pipeline_engine(factories: PipelineFactories) -> Engine:
    """The engine that processes videos with these factories."""
    return partial(_run_pipeline, factories)


def _run_pipeline(
    factories: PipelineFactories,
    task: Task,
    report: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Summary:
    return process(task, factories, report=report, cancelled=cancelled)


def run_engine(
    engine: Engine, task: Task, report: Callable[[Progress], None], cancelled: Callable[[], bool]
) -> Summary:
    """Run the engine; whatever it raises comes out as a `JobFailed` that holds no frames.

    An exception's traceback keeps every local of every call alive, decoded pictures included, so
    only its words go on.
    """
    try:
        return engine(task, report, cancelled)
    except PipelineError as error:
        reason = str(error)
    except MemoryError:
        reason = "There was not enough memory for this video."
    except Exception as error:
        reason = f"Processing failed: {type(error).__name__}: {error}"
    raise JobFailed(reason[:_MAX_REASON])


def noop() -> None:
    """The shortest job: its end shows that the forkserver is ready."""


def main(sender: Connection, engine: Engine, task: Task, niceness: int) -> None:
    """Do one job and send its outcome."""
    _die_with_the_service()
    # Ctrl-C reaches the whole terminal; the service decides what becomes of running jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    if task.memory_bytes is not None:
        confine(task.memory_bytes)
    try:
        summary = run_engine(engine, task, _reporter(sender), lambda: False)
    except JobFailed as failure:
        sender.send(("failed", str(failure)))
    else:
        sender.send(("done", summary))
    finally:
        sender.close()


def _reporter(sender: Connection) -> Callable[[Progress], None]:
    """Send progress, but not more often than anyone can look."""
    last = float("-inf")

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS:
            last = now
            sender.send(("progress", progress))

    return report


def _die_with_the_service() -> None:
    """Never outlive the service, however it ends; the kernel sees to the forkserver's death."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(
            target=_exit_after, args=(parent.sentinel,), name="parent-watch", daemon=True
        ).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)

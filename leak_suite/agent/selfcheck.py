"""Does every probe see what it should? Each is shown a known amount, which is then taken back."""

from __future__ import annotations

import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Sequence
    from typing import Any, Optional

    from .metric_reader import MetricReader

    Check = tuple[float, Optional[float], Optional[str]]

__all__ = ["check_probes"]

_KIB, _MIB = 1024, 1 << 20


def check_probes(
    reader: MetricReader, temp_dir: str, *, memory_only: bool = False
) -> dict[str, Check]:
    """{metric: (shown, seen, None or why it is blind)}; the reader is given the blind ones.

    Nothing is imported for it. A check that cannot be made here (no program to start, no temporary
    folder) leaves its metric out: neither proved nor blind. `memory_only` is for a process that
    somebody else's program runs in: it need not see a thread or a child come and go.
    """
    results: dict[str, Check] = {}
    for metrics, amount, show in _checks(reader, temp_dir)[: 4 if memory_only else None]:
        reader.settle()
        before = reader.read()
        take_back = show()
        if take_back is None:
            continue
        after = _read_when(reader, before, metrics, amount)
        take_back()
        for metric in metrics:
            results[metric] = _judged(before[metric], after[metric], amount)
    if not memory_only:
        _check_peak(reader, results)
    for metric, (_, _, reason) in results.items():
        if reason:
            reader.blind[metric] = reason
    reader.settle()
    return results


def _checks(
    reader: MetricReader, temp_dir: str
) -> tuple[tuple[Sequence[str], int, Callable[[], Callable[[], Any] | None]], ...]:
    """(metrics, amount, how to show it: returns how to take it back, or None if it cannot be)."""
    return (
        (("heap",), _MIB, lambda: _hold([bytearray(128 * _KIB) for _ in range(8)])),
        (("blocks", "gc_objects"), 1000, lambda: _hold([[] for _ in range(1000)])),
        (("rss", "rss_anon"), 4 * _MIB, lambda: _hold([bytearray(4 * _MIB)])),
        (("garbage",), 1, _garbage),
        (("fds",), 1, _descriptor),
        (("threads", "python_threads"), 1, lambda: _thread(reader)),
        (("children",), 1, _child),
        (("temp_files", "temp_bytes"), 1, lambda: _temp_file(temp_dir)),
    )


def _read_when(
    reader: MetricReader, before: dict[str, float | None], metrics: Sequence[str], amount: int
) -> dict[str, float | None]:
    """Read, again for a moment while it is not seen: a thread or child takes time to show."""
    tries = 500 if metrics[0] in ("threads", "children") else 2
    for _ in range(tries):
        after = reader.read()
        if all(_judged(before[metric], after[metric], amount)[2] is None for metric in metrics):
            break
        time.sleep(0.001)
    return after


def _judged(before: float | None, after: float | None, amount: int) -> Check:
    if before is None or after is None:
        return (amount, None, "it cannot be read here")
    seen = after - before
    # What else goes on in the process may add to it, and allocators round; nine tenths is seen.
    reason = None if seen >= 0.9 * amount else f"{amount} were added and {seen} seen"
    return (amount, seen, reason)


def _check_peak(reader: MetricReader, results: dict[str, Check]) -> None:
    reader.settle()  # pages that are still resident from before would not show
    if not reader.proc.reset_peak():
        results["peak"] = (4 * _MIB, None, "the high-water mark cannot be reset here")
        return
    before = reader.proc.memory()[2]
    block = bytearray(4 * _MIB)
    del block
    results["peak"] = _judged(before, reader.proc.memory()[2], 4 * _MIB)


def _hold(things: list[Any]) -> Callable[[], Any]:
    return things.clear


def _garbage() -> Callable[[], Any]:
    mark = object()
    gc.garbage.append(mark)
    return lambda: gc.garbage.remove(mark)


def _descriptor() -> Callable[[], Any]:
    fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return lambda: os.close(fd)


def _thread(reader: MetricReader) -> Callable[[], Any]:
    thread = sys.modules["_thread"]
    lock = thread.allocate_lock()
    lock.acquire()
    resting = reader.proc.threads()
    thread.start_new_thread(lock.acquire, ())

    def take_back() -> None:
        lock.release()
        until = time.perf_counter() + 1.0
        while reader.proc.threads() != resting and time.perf_counter() < until:
            time.sleep(0.001)

    return take_back


def _child() -> Callable[[], Any] | None:
    program = "/bin/true"
    if not hasattr(os, "posix_spawn") or not os.access(program, os.X_OK):
        return None
    pid = os.posix_spawn(program, [program], {})
    return lambda: os.waitpid(pid, 0)


def _temp_file(temp_dir: str) -> Callable[[], Any] | None:
    if not temp_dir:
        return None
    path = os.path.join(temp_dir, "self-check")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(fd, b"x")
    os.close(fd)
    return lambda: os.unlink(path)

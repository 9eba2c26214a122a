"""Clean: garbage in cycles, frames and generators, collected early or late."""

from __future__ import annotations

import collections
import gc
import weakref
from collections.abc import Iterator

from benchmarks.leakbench.cases.case import Draw, Job, clean


class _Node:
    """Something that points at something."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.other: _Node | None = None


class _Finalized(_Node):
    """A node with a finalizer, which Python could not collect in a cycle once upon a time."""

    count = 0

    def __del__(self) -> None:
        _Finalized.count += 1


@clean
def collectable_cycles(draw: Draw) -> Job:
    """Two nodes that point at each other."""
    size = draw.size(64, 4096)

    def job() -> None:
        first, second = _Node(bytes(size)), _Node(b"")
        first.other, second.other = second, first

    return job


@clean
def cycles_collected_late(draw: Draw) -> Job:
    """Thresholds raised, so that garbage stands for a long time: a long saw-tooth."""
    gc.set_threshold(draw.size(5000, 60000), 20, 20)
    size = draw.size(64, 1024)

    def job() -> None:
        for _ in range(10):
            node = _Node(bytes(size))
            node.other = node

    return job


@clean
def cycles_with_finalizers(draw: Draw) -> Job:
    """Cycles whose nodes have `__del__`: collectable since Python 3.4."""
    size = draw.size(64, 1024)

    def job() -> None:
        first, second = _Finalized(bytes(size)), _Finalized(b"")
        first.other, second.other = second, first

    return job


@clean
def collector_run_by_the_application(draw: Draw) -> Job:
    """The collector switched off, and run by hand every so many calls."""
    gc.disable()
    period = draw.size(50, 2000)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        node = _Node(bytes(256))
        node.other = node
        if calls % period == 0:
            gc.collect()

    return job


@clean
def errors_in_cycles_with_their_frames(draw: Draw) -> Job:
    """An exception kept in a local of the frame that its traceback refers to."""
    size = draw.size(64, 4096)

    def job() -> None:
        body = bytes(size)
        kept: list[Exception] = []
        try:
            raise ValueError(len(body))
        except ValueError as error:
            kept.append(error)

    return job


@clean
def last_errors_kept(draw: Draw) -> Job:
    """The last so many errors with their tracebacks, for a status page."""
    errors: collections.deque[Exception] = collections.deque(maxlen=draw.size(20, 1000))
    size = draw.size(64, 1024)

    def fail() -> None:
        body = bytes(size)
        raise ValueError(len(body))

    def job() -> None:
        try:
            fail()
        except ValueError as error:
            errors.append(error)

    return job


@clean
def generators_abandoned(draw: Draw) -> Job:
    """Generators left in the middle, and dropped."""
    size = draw.size(64, 4096)

    def read() -> Iterator[bytes]:
        body = bytes(size)
        yield body
        yield b""

    def job() -> None:
        for _ in range(5):
            next(read())

    return job


@clean
def finalizers_that_run(draw: Draw) -> Job:
    """A finalizer and a weak callback for each object, gone with it."""
    seen: list[int] = [0]
    size = draw.size(64, 2048)

    def gone(amount: int) -> None:
        seen[0] += amount

    def job() -> None:
        node = _Node(bytes(size))
        weakref.finalize(node, gone, 1)
        reference = weakref.ref(node, lambda _: gone(1))
        del node
        assert reference() is None

    return job


@clean
def chain_cut_periodically(draw: Draw) -> Job:
    """A chain whose newest link holds the older ones, cut every so often."""
    head = _Node(b"")
    # Short enough that dropping the chain does not nest too deep.
    period = draw.size(20, 800)
    size = draw.size(64, 1024)
    calls = 0

    def job() -> None:
        nonlocal head, calls
        calls += 1
        node = _Node(bytes(size))
        node.other = head if calls % period else None
        head = node

    return job


@clean
def classes_made_and_dropped(draw: Draw) -> Job:
    """Classes made for each call: cycles of their own, gone with the next collection."""
    fields = {f"field_{n}": n for n in range(draw.count(1, 10))}

    def job() -> None:
        type("Model", (), dict(fields))()

    return job

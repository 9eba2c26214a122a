"""Leaks of whole objects: something keeps hold of closures, frames, cycles or instances."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.leakbench.cases.case import Draw, Job, leak


class _Node:
    """Something that points at something."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.other: _Node | None = None


@leak("blocks", "gc_objects", "heap", "rss")
def closures_kept(draw: Draw) -> Job:
    """A callback made anew for every request, and registered each time."""
    callbacks: list[Callable[[], int]] = []
    size = draw.size(64, 4096)

    def job() -> None:
        body = bytes(size)  # LEAK
        callbacks.append(lambda: len(body))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def instance_registry(draw: Draw) -> Job:
    """A class that registers its instances strongly."""
    instances: list[_Node] = []
    size = draw.size(64, 2048)

    def job() -> None:
        instances.append(_Node(bytes(size)))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def bound_methods_as_listeners(draw: Draw) -> Job:
    """Listeners added to a long-lived emitter; their owners can never go."""
    listeners: list[Callable[[], str]] = []
    size = draw.size(64, 1024)

    def job() -> None:
        node = _Node(bytes(size))  # LEAK
        listeners.append(node.__repr__)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def exceptions_with_tracebacks(draw: Draw) -> Job:
    """The last errors kept for a status page, each with the frames it passed through."""
    errors: list[Exception] = []
    size = draw.size(64, 4096)

    def fail() -> None:
        body = bytes(size)  # LEAK
        raise ValueError(len(body))  # LEAK

    def job() -> None:
        try:
            fail()  # LEAK
        except ValueError as error:
            errors.append(error)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def unfinished_generators(draw: Draw) -> Job:
    """Generators started, kept, and never run to their end."""
    started: list[Iterator[int]] = []
    size = draw.size(64, 2048)

    def read() -> Iterator[int]:
        body = bytes(size)  # LEAK
        yield len(body)
        yield 0

    def job() -> None:
        generator = read()  # LEAK
        next(generator)  # LEAK
        started.append(generator)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def cycle_held_from_c(draw: Draw) -> Job:
    """A cycle to which an extension forgot to give its reference back."""
    take = ctypes.pythonapi.Py_IncRef
    take.argtypes = [ctypes.py_object]
    size = draw.size(64, 1024)

    def job() -> None:
        first, second = _Node(bytes(size)), _Node(b"")  # LEAK
        first.other, second.other = second, first  # LEAK
        take(first)

    return job


@leak("blocks", "heap", "rss")
def reference_never_returned(draw: Draw) -> Job:
    """One reference too many on a string, as a C extension with a bug takes it."""
    take = ctypes.pythonapi.Py_IncRef
    take.argtypes = [ctypes.py_object]
    width = draw.size(64, 512)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        take(f"{calls:0{width}d}")  # LEAK

    return job


@leak("blocks", "gc_objects", "rss", "heap", "garbage")
def garbage_saved(draw: Draw) -> Job:
    """A debugging flag of the collector left on: what it finds, it keeps."""
    size = draw.size(64, 1024)

    def job() -> None:
        gc.set_debug(gc.DEBUG_SAVEALL)
        first, second = _Node(bytes(size)), _Node(b"")  # LEAK
        first.other, second.other = second, first  # LEAK

    return job


@leak("heap", "blocks", "gc_objects", "rss")
def memoryview_pins(draw: Draw) -> Job:
    """One byte of view that holds the whole body."""
    heads: list[memoryview] = []
    size = draw.size(1024, 65536)

    def job() -> None:
        body = bytearray(size)  # LEAK
        heads.append(memoryview(body)[:1])  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def classes_made_per_call(draw: Draw) -> Job:
    """A model class built for every request, and cached by nothing that is ever asked again."""
    models: list[type[Any]] = []
    fields = draw.count(1, 10)

    def job() -> None:
        body = {f"field_{n}": n for n in range(fields)}
        models.append(type("Model", (), body))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def linked_list_head_kept(draw: Draw) -> Job:
    """A chain whose newest element holds all the older ones."""
    head = _Node(b"")
    size = draw.size(64, 1024)

    def job() -> None:
        nonlocal head
        node = _Node(bytes(size))  # LEAK
        # Broken from time to time would be a saw-tooth; here nothing breaks it.
        node.other, head = head, node

    return job

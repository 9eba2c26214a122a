"""Leaks into registries of the standard library that nobody thinks of as containers."""

from __future__ import annotations

import atexit
import contextvars
import io
import logging
import sys
import threading
import types
import weakref
from concurrent.futures import Future
from functools import partial, singledispatch
from typing import Any

from benchmarks.leakbench.cases.case import Draw, Job, leak


class _Application:
    """Something that lives as long as the process."""


@leak("blocks", "gc_objects", "heap", "rss")
def finalizers_registered(draw: Draw) -> Job:
    """`weakref.finalize` on an object that never dies, once a call."""
    application = _Application()
    size = draw.size(64, 2048)

    def job() -> None:
        weakref.finalize(application, len, bytes(size))  # LEAK

    return job


@leak("blocks", "gc_objects", "rss", "heap")
def weak_callbacks_kept(draw: Draw) -> Job:
    """Weak references with a callback each, kept after their object is gone."""
    references: list[weakref.ref[_Application]] = []
    size = draw.size(64, 1024)

    def job() -> None:
        target = _Application()
        notice = partial(len, bytes(size))  # LEAK
        references.append(weakref.ref(target, lambda _: notice and None))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def atexit_registrations(draw: Draw) -> Job:
    """A clean-up at exit registered for every request."""
    size = draw.size(64, 2048)

    def job() -> None:
        atexit.register(len, bytes(size))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def logging_handlers(draw: Draw) -> Job:
    """A handler added to a logger by each request that sets up logging."""
    logger = logging.getLogger("leakbench.handlers")
    logger.propagate = False
    width = draw.count(1, 40)

    def job() -> None:
        handler = logging.StreamHandler(io.StringIO("x" * width))  # LEAK
        logger.handlers.append(handler)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def loggers_by_request(draw: Draw) -> Job:
    """A logger named after the request: the manager keeps every one."""
    prefix = "r" * draw.size(64, 256)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        logging.getLogger(f"{prefix}{calls}")  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def modules_generated(draw: Draw) -> Job:
    """A template compiled to a module of its own, entered in `sys.modules`."""
    lines = draw.count(1, 12)
    source = "\n".join(f"def part_{n}(x):\n    return x + {n}" for n in range(lines))
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        module = types.ModuleType(f"leakbench_generated_{calls}")  # LEAK
        exec(compile(source, "<template>", "exec"), module.__dict__)  # LEAK
        sys.modules[module.__name__] = module  # LEAK

    return job


@leak("blocks", "heap", "rss")
def thread_local_attributes(draw: Draw) -> Job:
    """State of a request put on a thread that outlives it."""
    local = threading.local()
    size = draw.size(64, 2048)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        setattr(local, f"request_{calls}", bytes(size))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def context_tokens_kept(draw: Draw) -> Job:
    """Tokens of a context variable, collected and never used to reset it."""
    current: contextvars.ContextVar[bytes] = contextvars.ContextVar("current", default=b"")
    tokens: list[contextvars.Token[bytes]] = []
    size = draw.size(64, 2048)

    def job() -> None:
        tokens.append(current.set(bytes(size)))  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def contexts_kept(draw: Draw) -> Job:
    """A copy of the context kept for each call, with the value it had then."""
    current: contextvars.ContextVar[bytes] = contextvars.ContextVar("current", default=b"")
    copies: list[contextvars.Context] = []
    size = draw.size(64, 2048)

    def job() -> None:
        current.set(bytes(size))  # LEAK
        copies.append(contextvars.copy_context())  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def futures_kept(draw: Draw) -> Job:
    """Finished futures kept in the list that was to be awaited."""
    pending: list[Future[bytes]] = []
    size = draw.size(64, 2048)

    def job() -> None:
        future: Future[bytes] = Future()  # LEAK
        future.set_result(bytes(size))  # LEAK
        pending.append(future)  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def dispatch_registrations(draw: Draw) -> Job:
    """A function registered with `singledispatch` for a type made on the spot."""

    @singledispatch
    def encode(value: object) -> bytes:
        return repr(value).encode()

    fields = draw.count(1, 5)

    def job() -> None:
        kind: type[Any] = type("Kind", (), dict.fromkeys(map(str, range(fields))))  # LEAK
        encode.register(kind, bytes)  # LEAK

    return job

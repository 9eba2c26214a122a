"""Turns a test function, sync or async, into a plain function that can be called repeatedly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

__all__ = ["plain_call"]


@contextmanager
def plain_call(call: partial[Any], item: pytest.Item) -> Iterator[Callable[[], None]]:
    """Yield a function without arguments; all its calls of an async test share one event loop."""
    if not inspect.iscoroutinefunction(call.func):

        def plain() -> None:
            result = call()
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(f"{call.func!r} is async but not a coroutine function; wrap it")

        yield plain
        return
    with _runner(item) as run:
        yield lambda: run(call)


Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], None]


@contextmanager
def _runner(item: pytest.Item) -> Iterator[Run]:
    """AnyIO's runner if the test uses AnyIO, because its async fixtures run there; else our own."""
    backend = getattr(item, "funcargs", {}).get("anyio_backend")
    if backend is None:
        with _own_loop() as run:
            yield run
        return
    from anyio.pytest_plugin import extract_backend_and_options, get_runner

    name, options = extract_backend_and_options(backend)
    with get_runner(name, options) as runner:
        yield lambda make: runner.run_test(make, {})


@contextmanager
def _own_loop() -> Iterator[Run]:
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        yield lambda make: loop.run_until_complete(make())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

"""Repeats the method of a unittest.TestCase between its own setUp and tearDown."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

__all__ = ["checked_method", "is_unittest"]


def is_unittest(item: pytest.Item) -> bool:
    """Whether the test is a method of a unittest.TestCase; imports nothing."""
    unittest = sys.modules.get("unittest")
    owner = getattr(item, "cls", None)
    return unittest is not None and owner is not None and issubclass(owner, unittest.TestCase)


@contextmanager
def checked_method(
    item: pytest.Item, wrap: Callable[[Callable[[], None]], Callable[[], None]]
) -> Iterator[None]:
    """Replace the method by `wrap` of it, its check, as long as the context lasts.

    setUp and tearDown run once, around all iterations, as fixtures of a function do.
    """
    assert isinstance(item, pytest.Function)
    method = item.obj
    check = wrap(_plain(method, item.instance))

    @wraps(method)  # with what decorators have put on it, as unittest.skip does
    def checked() -> None:
        __tracebackhide__ = True
        check()

    item.obj = checked
    try:
        yield
    finally:
        item.obj = method


def _plain(method: Callable[[], Any], case: Any) -> Callable[[], None]:
    """An async method as a plain one, in the loop of its IsolatedAsyncioTestCase."""
    if not inspect.iscoroutinefunction(method) or not hasattr(case, "_callMaybeAsync"):
        return method

    def plain() -> None:
        # The runner is made when the case runs, from Python 3.11 on.
        runner = getattr(case, "_asyncioRunner", None)
        if runner is None:
            case._callMaybeAsync(method)
        else:
            # Not by its run(): the check itself runs in the context that this would enter again.
            runner.get_loop().run_until_complete(method())

    return plain

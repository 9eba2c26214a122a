"""The workload that runs on this side: a function that is called with a client, or with nothing."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any

import httpx

from leak_suite.errors import ConfigurationError, SubjectHung
from leak_suite.metrics import QuickSample
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.base import StopReason
from leak_suite.subject.routes import RoutesInUse

__all__ = ["REQUEST_SECONDS", "Workload", "needs_client"]

REQUEST_SECONDS = 30.0
"""How long a request of the workload may take, unless set otherwise."""

QuickSampler = Callable[[], QuickSample]


class Workload:
    """What `target` names, repeated. Close it.

    The function may take nothing, or one argument: an `httpx.Client` with the service's address (an
    `httpx.AsyncClient` where it is async). A generator function prepares before its `yield` and
    clears up after it: it yields the function to repeat, which may take the client too; one that
    yields anything else is itself resumed for each iteration. A context manager does the same.

    `quick_sample` looks at the service between calls; `cancel` ends the wait for an answer;
    `routes` takes note of what is called.

    Raises:
        ConfigurationError: it cannot be loaded, takes more than a client, or needs a client where
            there is no address.
    """

    def __init__(
        self,
        target: str,
        base_url: str | None,
        quick_sample: QuickSampler,
        cancel: Callable[[], None],
        *,
        request_seconds: float = REQUEST_SECONDS,
        routes: RoutesInUse | None = None,
    ) -> None:
        self._routes = routes or RoutesInUse()
        self._agent_loop = agent_module("loop")
        self._guard = partial(agent_module("growth_guard").GrowthGuard, quick_sample)
        self._cancel = cancel
        self._target = target
        self._client: httpx.Client | httpx.AsyncClient | None = None
        self._settings: dict[str, Any] = {
            "base_url": base_url,
            "timeout": request_seconds,
            "trust_env": False,  # a proxy of the machine has no place in between
        }
        self._stack = contextlib.ExitStack()
        self._async_generator: AsyncGenerator[Any, None] | None = None
        self._resumed = False
        self._loop: Any = None
        try:
            function = _load(target)
            self._routes.declare(_declared(target))
            self._loop = self._prepare(function)
        except BaseException:
            self.close()
            raise

    def _prepare(self, function: Callable[..., Any]) -> Any:
        """The loop over what is to be repeated, set up."""
        if inspect.isasyncgenfunction(function):
            return self._prepare_async_generator(function)
        if inspect.isgeneratorfunction(function):
            generator = self._with_client(function)()
            first = self._enter(_first_value(generator))
            repeated_function = first if callable(first) else generator.__next__
        else:
            manager = getattr(function, "__wrapped__", None)
            if manager is not None and inspect.isgeneratorfunction(manager):
                repeated_function = self._enter(self._with_client(function)())
            else:
                repeated_function = function
        is_async = self._agent_loop.is_coroutine_function(repeated_function)
        return self._agent_loop.Loop(
            self._tolerant(self._with_client(repeated_function, is_async=is_async), is_async)
        )

    def _prepare_async_generator(self, function: Callable[..., Any]) -> Any:
        generator = self._with_client(function, is_async=True)()
        repeated: Callable[..., Any] = generator.__anext__

        async def once() -> None:
            result = repeated()
            if inspect.isawaitable(result):
                await result

        loop = self._agent_loop.Loop(once)
        first = loop.event_loop.run_until_complete(generator.__anext__())
        self._async_generator = generator
        if callable(first):
            repeated = self._with_client(first, is_async=True)
        self._resumed = not callable(first)
        return loop

    def _enter(self, manager: contextlib.AbstractContextManager[Any]) -> Any:
        try:
            return self._stack.enter_context(manager)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ConfigurationError(
                f"the workload {self._target} could not be set up: {why}"
            ) from error

    def _with_client(
        self, function: Callable[..., Any], *, is_async: bool = False
    ) -> Callable[..., Any]:
        """`function` with the client that it takes, if it takes one."""
        if not takes_client(function):
            return function
        if self._settings["base_url"] is None:
            raise ConfigurationError(
                f"the workload {self._target} takes a client, and the subject listens on no port; "
                "write {port} in the command where it takes one, or a workload of no argument"
            )
        if self._client is None:
            note = self._note_async if is_async else self._note
            make = httpx.AsyncClient if is_async else httpx.Client
            self._client = make(**self._settings, event_hooks={"response": [note]})
        return partial(function, self._client)

    def _note(self, response: httpx.Response) -> None:
        request = response.request
        self._routes.note(request.method, request.url.path, response.status_code)

    async def _note_async(self, response: httpx.Response) -> None:
        self._note(response)

    def _tolerant(self, function: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
        """The same, called again once where the server had closed a kept connection.

        Servers close connections after an error or when idle; that the next request met the close
        is no failure of the service.
        """
        if self._client is None:
            return function

        if is_async:

            async def once_more() -> None:
                try:
                    await function()
                except httpx.RemoteProtocolError as error:
                    if "disconnected" not in str(error):
                        raise
                    await function()
        else:

            def once_more() -> None:  # type: ignore[misc] # the sync face of the same
                try:
                    function()
                except httpx.RemoteProtocolError as error:
                    if "disconnected" not in str(error):
                        raise
                    function()

        return once_more

    def round(
        self, iterations: int, *, seconds: float, guard_factor: float, timeout: float | None
    ) -> tuple[int, float, StopReason, str | None]:
        """(done, seconds, why it ended, error); SubjectHung if it took longer than `timeout`."""
        hung = threading.Event()

        def cancel() -> None:
            hung.set()
            self._cancel()

        watchdog = None
        if timeout is not None:
            watchdog = threading.Timer(timeout, cancel)
            watchdog.daemon = True
            watchdog.start()
        try:
            result: tuple[int, float, StopReason, str | None] = self._loop.round(
                iterations, seconds, self._guard(guard_factor), lambda: True
            )
        finally:
            if watchdog is not None:
                watchdog.cancel()
                # What cancels has to be through with it, or the next question comes too early.
                watchdog.join()
        if hung.is_set():
            raise SubjectHung(f"a request was not answered within {timeout:.0f} s")
        return result

    def close(self) -> None:
        """Run what the workload has after its `yield`; close the client and the event loop."""
        loop, self._loop = self._loop, None
        client, self._client = self._client, None
        try:
            self._stack.close()
            if self._async_generator is not None and loop is not None:
                loop.event_loop.run_until_complete(self._end(self._async_generator))
            if isinstance(client, httpx.AsyncClient) and loop is not None:
                loop.event_loop.run_until_complete(client.aclose())
        finally:
            if isinstance(client, httpx.Client):
                client.close()
            if loop is not None:
                loop.close()

    async def _end(self, generator: AsyncGenerator[Any, None]) -> None:
        if not self._resumed:
            with contextlib.suppress(StopAsyncIteration):
                await generator.__anext__()
        await generator.aclose()


def needs_client(target: str) -> bool:
    """Whether the workload that `target` names takes a client, so that the subject needs a port.

    Raises:
        ConfigurationError: it cannot be loaded, or takes more than one argument.
    """
    return takes_client(_load(target))


def takes_client(function: Callable[..., Any]) -> bool:
    """Whether `function` takes one argument (a client) or none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # made in C, with no signature to read
        return False
    required = [
        one
        for one in parameters
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) > 1:
        names = ", ".join(one.name for one in required)
        raise ConfigurationError(
            f"a workload takes a client or nothing; this one takes {names}: give the others "
            "defaults, or wrap it"
        )
    if required:
        return True
    return any(one.name == "client" for one in parameters)


@contextlib.contextmanager
def _first_value(generator: Generator[Any, Any, Any]) -> Generator[Any, None, None]:
    """The first value of `generator`; what it has after its `yield` runs at the end.

    One that is itself resumed for each iteration is only closed: it may clear up in a `finally`.
    """
    first = next(generator)
    yield first
    if callable(first):
        with contextlib.suppress(StopIteration):
            next(generator)
    generator.close()


def _declared(target: str) -> list[tuple[str, str]]:
    """What the module of `target` says that it does not call."""
    try:
        declared: list[tuple[str, str]] = agent_module("target").not_called(target)
    except TypeError as error:
        raise ConfigurationError(f"beside the workload {target}: {error}") from error
    return declared


def _load(target: str) -> Callable[..., Any]:
    try:
        found = agent_module("target").load(target)
    except Exception as error:
        raise ConfigurationError(f"the workload {target} cannot be loaded: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"the workload {target} is not callable")
    function: Callable[..., Any] = found
    return function

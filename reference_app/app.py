"""The application: routes over one `ServiceContainer`, whose life the lifespan owns."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from reference_app.container import ServiceContainer
from reference_app.factories import ServiceFactories
from reference_app.http import problem_json
from reference_app.http.access import Access, OwnOrigin
from reference_app.http.connections import ConnectionGuard, Connections
from reference_app.http.routes import ROUTERS
from reference_app.http.routes.common import problems
from reference_app.http.startup import PlainStartupErrors
from reference_app.memory.allocator import configure_memory
from reference_app.settings import Settings

__all__ = ["create_app"]

CONNECTIONS_SECONDS = 2.0


def create_app(settings: Settings, factories: ServiceFactories | None = None) -> FastAPI:
    """The service with these limits, put together from these factories."""
    factories = factories or ServiceFactories()
    clock = factories.clock()
    connections = ConnectionGuard(clock, settings.header_seconds)
    access = Access(settings, clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_memory()
        async with ServiceContainer.started(settings, factories) as container:
            app.state.container = container
            container.log.info(access.notice)
            connections.watch_accepting(asyncio.get_running_loop(), container.log)
            with _on_termination(lambda: _begin_drain(container, connections)):
                async with _background(container, connections):
                    yield
                    # Event streams end before the server waits for its connections, where the
                    # signal came first; else, here.
                    container.begin_drain()

    app = FastAPI(
        title="Reference pose service",
        summary="Upload a video, get its poses as a table and a skeleton video.",
        lifespan=lifespan,
        # The documentation pages load scripts from elsewhere; the description itself stays.
        docs_url=None,
        redoc_url=None,
        dependencies=[OwnOrigin],
        responses=problems(422),
    )
    app.state.access = access
    problem_json.install(app)
    app.add_middleware(PlainStartupErrors)
    app.add_middleware(Connections, guard=connections)
    if settings.allowed_origin_list:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origin_list,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key"],
            expose_headers=["Location", "Retry-After"],
        )
    for router in ROUTERS:
        app.include_router(router)
    return app


def _begin_drain(container: ServiceContainer, connections: ConnectionGuard) -> None:
    container.begin_drain()
    loop = asyncio.get_running_loop()
    loop.call_later(container.settings.drain_seconds, connections.end_all)


@asynccontextmanager
async def _background(
    container: ServiceContainer, connections: ConnectionGuard
) -> AsyncIterator[None]:
    """The container's background work, and the watch over connections, until the block ends."""

    async def sweep() -> None:
        connections.sweep()

    sweeping = asyncio.create_task(container.every(CONNECTIONS_SECONDS, sweep))
    try:
        async with container.background():
            yield
    finally:
        sweeping.cancel()
        await asyncio.wait({sweeping})


@contextmanager
def _on_termination(act: Callable[[], None]) -> Iterator[None]:
    """Act on SIGTERM and SIGINT at once, then let the server's own handler do its work.

    The server tells the app only when all connections have ended; an open event stream would
    keep it from ever doing so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        before[signal.Signals(number)](number, frame)

    for name in (signal.SIGTERM, signal.SIGINT):
        if callable(handler := signal.getsignal(name)):
            before[name] = handler
            signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)

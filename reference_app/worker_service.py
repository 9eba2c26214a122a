"""Processes without a port: one that only does jobs, and one that tidies up once."""

from __future__ import annotations

import asyncio
import signal

from reference_app.container import ServiceContainer
from reference_app.errors import StartupError
from reference_app.factories import ServiceFactories
from reference_app.memory.allocator import configure_memory
from reference_app.settings import Settings

__all__ = ["run", "tidy"]


def run(settings: Settings, factories: ServiceFactories | None = None) -> None:
    """Do jobs until SIGTERM or Ctrl-C; what runs then has DRAIN_SECONDS to end.

    Raises `SystemExit` with a line for people where the service must not start like this.
    """
    try:
        asyncio.run(_work(settings, factories or ServiceFactories()))
    except StartupError as error:
        raise SystemExit(f"reference_app does not start: {error}") from None


def tidy(settings: Settings) -> None:
    """Put back what nobody works on and remove what has expired, once; leaves a turn in progress.

    For a schedule, where the service itself may be suspended. Raises `SystemExit` as `run` does.
    """

    async def once() -> None:
        # A start does all of it; one that takes in no job and does none has then done its work.
        idle = settings.model_copy(update={"role": "api"})
        async with ServiceContainer.started(idle, ServiceFactories()):
            pass

    try:
        asyncio.run(once())
    except StartupError as error:
        raise SystemExit(f"not tidied up: {error}") from None


async def _work(settings: Settings, factories: ServiceFactories) -> None:
    configure_memory()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with ServiceContainer.started(settings, factories) as container:
        async with container.background():
            await ended.wait()
        container.begin_drain()

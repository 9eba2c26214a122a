"""Serving an ASGI application under the subject's own uvicorn, with the agent resident in it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

    from .session import Session
    from .wire import Wire

__all__ = ["serve"]


_TURN_SECONDS = 0.2


def serve(application: Any, port: int, wire: Wire, session: Session, about: dict[str, Any]) -> None:
    """Serve until the host says stop or is gone; the resident answers the host's questions."""
    import asyncio
    import socket

    import uvicorn

    from .routes import routes_of

    # Without the protocol's number asyncio does not turn Nagle off, and requests take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    about = {**about, "port": listener.getsockname()[1], "server": "uvicorn " + uvicorn.__version__}
    # A connection that the server closed for idling would read as a descriptor that came and went.
    config = uvicorn.Config(
        application, log_level="warning", access_log=False, lifespan="auto", timeout_keep_alive=3600
    )
    session.reader.max_wait = 0.5

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                _begin_to_answer(self, session)
                wire.answer({"ready": {**about, "routes": routes_of(application)}})

    server = Server(config)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        session.reader.tasks.loops.append(loop)
        session.reader.spin = lambda: _turn(loop)
        await server.serve(sockets=[listener])

    if not hasattr(config, "get_loop_factory"):  # before uvicorn 0.36
        config.setup_event_loop()
    factory = getattr(config, "get_loop_factory", lambda: None)()
    if factory is None:
        asyncio.run(run())
    else:
        loop = factory()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run())
        finally:
            loop.close()
    if not server.started:
        wire.answer({"error": "the application did not start; its log says why"})
        sys.exit(3)


def _turn(loop: Any) -> None:
    """Have the loop, which runs in the main thread, do what is due; wait for it, but not long."""
    import _thread

    from .tasks import forget_cancelled_timers

    turned = _thread.allocate_lock()
    turned.acquire()

    def turn() -> None:
        forget_cancelled_timers(loop)
        turned.release()

    try:
        loop.call_soon_threadsafe(turn)
    except RuntimeError:  # it is closed
        return
    turned.acquire(timeout=_TURN_SECONDS)


def _begin_to_answer(server: Any, session: Session) -> None:
    from .resident import in_this_process

    def stop() -> None:
        server.should_exit = True

    resident = in_this_process()
    if resident is None:
        raise RuntimeError(
            "this interpreter runs no sitecustomize, so the agent cannot stay in the application"
        )
    resident.session = session
    resident.on_stop = stop
    resident.start()

"""A start that fails says why in one line instead of a traceback."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_app.errors import StartupError

__all__ = ["PlainStartupErrors"]


class PlainStartupErrors:
    """ASGI middleware that puts the words of a `StartupError` in the place of its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but the report of a failed start, which is rewritten."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        report: Message | None = None

        async def hold(message: Message) -> None:
            nonlocal report
            if message["type"] == "lifespan.startup.failed":
                report = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold)
        except StartupError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            if report is not None:
                await send(report)
            raise

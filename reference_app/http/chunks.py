"""Bodies that come in chunks: a connection whose chunks are tiny is ended.

The server parses each chunk by itself, so that a body in chunks of a byte is a thousand times the
work of one in ordinary chunks, and all of it is done before anybody else has a turn.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["watch_chunks"]

# A chunk has two lines. So many are free, and one more for so many bytes of all that came.
_FREE_LINES = 1024
_BYTES_A_LINE = 128


class _ChunkWatch:
    """Stands before the server's protocol, and counts lines before anything parses them."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol
        self._transport = transport
        self._lines = self._bytes = 0

    def data_received(self, data: bytes) -> None:
        """Pass on what came, or end the connection."""
        self._lines += data.count(b"\r\n")
        self._bytes += len(data)
        if self._lines > _FREE_LINES + self._bytes // _BYTES_A_LINE:
            self._transport.abort()
        else:
            cast(asyncio.Protocol, self.protocol).data_received(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.protocol, name)


def watch_chunks(scope: Scope, transport: asyncio.Transport) -> None:
    """Watch the rest of a request whose body comes in chunks, and of no other.

    What arrived together with its header is parsed by now; that is 256 KiB at most.
    """
    protocol: Any = transport.get_protocol()
    if isinstance(protocol, _ChunkWatch):
        protocol = protocol.protocol
        transport.set_protocol(protocol)
    if "transfer-encoding" in Headers(scope=scope):
        watch: Any = _ChunkWatch(transport, protocol)
        transport.set_protocol(watch)

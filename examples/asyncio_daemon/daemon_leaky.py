"""The same daemon with a leak: it knows all its answers."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

SOCKET = Path(os.environ.get("PRICES_SOCKET", "prices.sock"))
answers: dict[str, bytes] = {}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tell one price, and say goodbye."""
    article = (await reader.readline()).decode().strip()
    text = f"{article} costs {len(article)} Euro. ".encode() * 30
    answers[article] = text
    writer.write(text)
    await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def main() -> None:
    """Listen until the process is ended."""
    SOCKET.unlink(missing_ok=True)
    async with await asyncio.start_unix_server(answer, SOCKET) as server:
        print("waiting for questions", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""A daemon without a port: it answers on a Unix socket, and knows its last thousand answers."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

SOCKET = Path(os.environ.get("PRICES_SOCKET", "prices.sock"))
MAX_ANSWERS = 1000
answers: OrderedDict[str, bytes] = OrderedDict()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tell one price, and say goodbye."""
    article = (await reader.readline()).decode().strip()
    text = f"{article} costs {len(article)} Euro. ".encode() * 30
    answers[article] = text
    if len(answers) > MAX_ANSWERS:
        answers.popitem(last=False)
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

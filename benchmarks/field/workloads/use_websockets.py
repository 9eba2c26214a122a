"""websockets: a connection is made, ten messages are echoed, it is closed."""

import asyncio

import websockets

LOOP = asyncio.new_event_loop()


async def _echo(connection, *_):
    async for message in connection:
        await connection.send(message)


async def _serve():
    server = await websockets.serve(_echo, "127.0.0.1", 0)
    return server, next(iter(server.sockets)).getsockname()[1]


SERVER, PORT = LOOP.run_until_complete(_serve())


async def _talk():
    async with websockets.connect(f"ws://127.0.0.1:{PORT}") as connection:
        for number in range(10):
            await connection.send(f"message {number}" * 20)
            await connection.recv()


def job() -> None:
    """One connection's life."""
    LOOP.run_until_complete(_talk())

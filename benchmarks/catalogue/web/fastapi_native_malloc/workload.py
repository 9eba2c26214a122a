"""Twelve kilobytes to be summed."""


async def send(client):
    (await client.post("/checksums", content=bytes(range(256)) * 48)).raise_for_status()

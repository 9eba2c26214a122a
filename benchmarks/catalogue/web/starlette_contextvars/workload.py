"""Somebody looks at a profile."""

from itertools import count

_numbers = count()


async def look(client):
    (await client.get(f"/users/user-{next(_numbers):09}")).raise_for_status()

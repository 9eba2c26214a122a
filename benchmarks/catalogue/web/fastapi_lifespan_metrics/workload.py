"""Somebody asks for their parcel, each for another one."""

from uuid import uuid4


async def visit(client):
    (await client.get(f"/parcels/{uuid4()}")).raise_for_status()

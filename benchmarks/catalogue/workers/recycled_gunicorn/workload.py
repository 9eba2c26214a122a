"""A picture of 120 kB."""

from uuid import uuid4


def send(client):
    answer = client.post(f"/{uuid4()}", content=bytes(120_000))
    assert len(answer.raise_for_status().content) == 60_000

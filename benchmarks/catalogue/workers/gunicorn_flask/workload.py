"""Somebody types an address that nobody typed before."""

from itertools import count
from uuid import uuid4

_numbers = count()


def type_address(client):
    town = f"town {next(_numbers) % 50}"
    answer = client.get("/complete", params={"town": town, "text": str(uuid4())})
    assert len(answer.raise_for_status().json()) == 20

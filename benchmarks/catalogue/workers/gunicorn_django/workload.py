"""Somebody looks at a price, and wants letters about forty topics."""

from itertools import count

_numbers = count()


def subscribe(client):
    number = next(_numbers)
    client.get(f"/prices/{number % 100}/").raise_for_status()
    wish = {"address": f"reader-{number}@example.org", "topics": list(range(40))}
    assert client.post("/newsletters/", json=wish).json() == {"sent": 40}

"""A question that was never asked."""

from uuid import uuid4


def ask(client):
    client.get(f"/{uuid4()}").raise_for_status()

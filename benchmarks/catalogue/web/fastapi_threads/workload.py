"""Somebody wants to know when it gets cheaper."""


def watch(client):
    client.post("/watches/3").raise_for_status()

"""A ballot with sixty choices."""


def vote(client):
    ballot = {"choices": [f"candidate {number}" for number in range(60)]}
    client.post("/", json=ballot).raise_for_status()

"""An order of forty articles."""


def order(client):
    order = {"email": "ada@example.org", "articles": list(range(40))}
    client.post("/orders", json=order).raise_for_status()

"""An invoice of twelve lines for a new customer."""

from uuid import uuid4


def bill(client):
    order = {"customer": str(uuid4()), "lines": [["paper", 1.5]] * 12}
    answer = client.post("/invoices", json=order)
    assert answer.json()["total"] == 18.0

"""One order."""


def order(client):
    client.post("/orders/7").raise_for_status()

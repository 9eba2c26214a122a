"""One chart."""


def show(client):
    client.get("/charts/revenue-by-month").raise_for_status()

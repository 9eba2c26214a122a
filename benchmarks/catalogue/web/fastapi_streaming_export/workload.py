"""Somebody downloads a month of orders."""


def download(client):
    with client.stream("GET", "/orders.csv", params={"month": 3}) as answer:
        assert sum(1 for _ in answer.iter_lines()) >= 150
    client.get("/exports").raise_for_status()

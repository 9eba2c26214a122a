"""Somebody looks at three products, and follows a link to one that is gone."""


def visit(client):
    for number in (7, 21, 50):
        client.get(f"/products/{number}").raise_for_status()
    gone = client.get("/products/999")
    assert gone.status_code == 404, gone.text

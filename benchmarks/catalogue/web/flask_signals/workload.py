"""A basket of thirty articles is paid."""


def pay(client):
    answer = client.post("/baskets", json=list(range(30)))
    assert answer.json() == {"done": True}

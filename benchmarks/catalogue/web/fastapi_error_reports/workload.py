"""One import that is right, one whose last line is cut, and a look at what failed."""

RIGHT = "7;blue;3.50\n" * 60


def load(client):
    client.post("/imports", content=RIGHT).raise_for_status()
    assert client.post("/imports", content=RIGHT + "8;gre").status_code == 422
    client.get("/failures").raise_for_status()

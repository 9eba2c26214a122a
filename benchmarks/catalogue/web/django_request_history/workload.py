"""A comment of two pages."""


def comment(client):
    client.get("/").raise_for_status()
    answer = client.post("/comments/", data={"text": "I beg to differ. " * 200})
    answer.raise_for_status()

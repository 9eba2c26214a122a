"""A reader comes by a link of a newsletter, which is another one for everybody."""

from uuid import uuid4


def read(client):
    client.get("/articles/7/", params={"utm": str(uuid4())}).raise_for_status()

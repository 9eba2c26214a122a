"""Half of the searches are for the same few words, half for something new."""

from itertools import count
from uuid import uuid4

_number = count()


def search(client):
    number = next(_number)
    query = f"shoes {number % 40}" if number % 2 else f"part {uuid4()}"
    client.get("/search", params={"q": query}).raise_for_status()

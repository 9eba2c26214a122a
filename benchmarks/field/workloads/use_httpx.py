"""httpx: a client is made, asks four times, and is closed."""

import httpx
from http_server import started

ADDRESS = started()


def job() -> None:
    """One client's life."""
    with httpx.Client(base_url=ADDRESS) as client:
        for path in ("/a", "/b", "/missing"):
            client.get(path, params={"q": "1"})
        assert client.post("/form", data={"name": "value"}).text == "name=value"

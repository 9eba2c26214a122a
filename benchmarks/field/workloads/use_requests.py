"""requests: a session is made, asks four times, and is closed."""

import requests
from http_server import started

ADDRESS = started()


def job() -> None:
    """One session's life."""
    with requests.Session() as session:
        for path in ("/a", "/b", "/missing"):
            session.get(ADDRESS + path, params={"q": "1"}, timeout=10)
        assert session.post(ADDRESS, data={"name": "value"}, timeout=10).text == "name=value"

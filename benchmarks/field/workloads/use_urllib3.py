"""urllib3: a pool is made, asks four times, and is cleared."""

import urllib3
from http_server import started

ADDRESS = started()


def job() -> None:
    """One pool's life."""
    pool = urllib3.PoolManager()
    for path in ("/a", "/b", "/missing"):
        pool.request("GET", ADDRESS + path, fields={"q": "1"})
    answer = pool.request("POST", ADDRESS + "/form", body=b"name=value")
    assert answer.data == b"name=value"
    pool.clear()

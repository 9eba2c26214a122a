"""One question to the daemon; repeated by leak-suite."""

from __future__ import annotations

import os
import socket
from itertools import count

_numbers = count()


def ask() -> None:
    """Ask for the price of the next article."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ.get("PRICES_SOCKET", "prices.sock"))
        connection.sendall(f"article {next(_numbers)}\n".encode())
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"costs" in said

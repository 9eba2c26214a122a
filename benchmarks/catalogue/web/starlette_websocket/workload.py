"""Somebody opens a room, talks, and closes the window."""

from uuid import uuid4

from websockets.sync.client import connect


def chat(client):
    base = str(client.base_url).replace("http", "ws", 1).rstrip("/")
    with connect(f"{base}/rooms/{uuid4()}") as socket:
        for text in ("hello", "is anybody there?", "bye"):
            socket.send(text)
            assert socket.recv() == text

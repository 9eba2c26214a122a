"""Somebody uploads a photo and looks at it."""

import os


def visit(client):
    photo = os.urandom(24_000)
    sent = client.post("/photos", files={"file": ("holiday.jpg", photo)})
    sent.raise_for_status()
    shown = client.get(f"/photos/{sent.json()['id']}")
    assert shown.content == photo

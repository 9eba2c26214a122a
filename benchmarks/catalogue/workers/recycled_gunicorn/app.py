"""Thumbnails by a worker that is replaced every 200 requests."""

import os

LEAK = "LEAK" in os.environ
made = {}


def thumbnail(data):
    small = bytearray(data[::2])  # LEAK
    for n in range(0, len(small), 64):
        small[n] ^= 0xFF
    return small


def app(environ, start_response):
    data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    small = thumbnail(data)  # LEAK
    name = environ["PATH_INFO"]
    if LEAK:
        made[name] = small  # LEAK
    start_response("200 OK", [("Content-Length", str(len(small)))])
    return [bytes(small)]

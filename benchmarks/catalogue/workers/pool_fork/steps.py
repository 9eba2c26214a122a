"""What the processes of the pool do."""

import os

LEAK = "LEAK" in os.environ
results = {}


def resize(name):
    pixels = bytearray(20_000)  # LEAK
    pixels[::7] = name.encode()[:1] * len(pixels[::7])
    key = (name, len(results)) if LEAK else name
    results[key] = pixels  # LEAK
    return len(pixels)

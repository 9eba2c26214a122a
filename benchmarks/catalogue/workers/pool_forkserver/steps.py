"""What the processes of the pool do."""

import os

LEAK = "LEAK" in os.environ


class Scaler:
    """Has buffers to work in, which it is meant to use again."""

    def __init__(self):
        self.free = []
        self.all = []

    def take(self, size):
        if self.free and not LEAK:
            return self.free.pop()
        buffer = bytearray(size)  # LEAK
        self.all.append(buffer)  # LEAK
        return buffer

    def give_back(self, buffer):
        self.free.append(buffer)


scaler = Scaler()


def resize(name):
    buffer = scaler.take(20_000)  # LEAK
    buffer[: len(name)] = name.encode()
    scaler.give_back(buffer)
    return len(buffer)

"""A callable that is repeated, and its leaky twin."""

KEPT = []


def clean():
    return bytearray(3000)


def leaky():
    KEPT.append(bytearray(3000))

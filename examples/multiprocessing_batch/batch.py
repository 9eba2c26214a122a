"""A batch on a pool of two processes; each keeps the last twenty pictures that it drew."""

from __future__ import annotations

import multiprocessing
from collections import deque
from functools import cache
from multiprocessing.pool import Pool

drawn: deque[bytearray] = deque(maxlen=20)


def draw(number: int) -> int:
    """Draw a picture, in a process of the pool."""
    picture = bytearray(30_000)
    picture[number % 100 :: 100] = bytes(300)
    drawn.append(picture)
    return len(picture)


@cache
def pool() -> Pool:
    """The pool, made at the first call and kept."""
    return multiprocessing.get_context("fork").Pool(2)


def job() -> None:
    """Draw four pictures; repeated by leak-suite."""
    assert pool().map(draw, range(4), chunksize=1) == [30_000] * 4

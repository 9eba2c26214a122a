"""The same batch with a leak: the processes of the pool keep every picture."""

from __future__ import annotations

import multiprocessing
from functools import cache
from multiprocessing.pool import Pool

drawn: list[bytearray] = []


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

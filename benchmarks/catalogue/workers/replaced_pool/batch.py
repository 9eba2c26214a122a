"""A pool that is replaced after every 25 calls, so that its processes stay small."""

import multiprocessing
import os
from itertools import count

LEAK = "LEAK" in os.environ
context = multiprocessing.get_context("fork")
calls = count()
pools = []


def compress(number):
    return len(bytes(bytearray(100_000))) + number


def job():
    if next(calls) % 25 == 0:
        if pools and not LEAK:
            old = pools.pop()
            old.close()
            old.join()
        pools.append(context.Pool(2))  # LEAK
    assert pools[-1].map(compress, range(4)) == [100_000, 100_001, 100_002, 100_003]

"""A batch on a pool of two processes, made by forkserver; the pool is made once."""

from functools import cache
from multiprocessing import get_context

from steps import resize


@cache
def pool():
    return get_context("forkserver").Pool(2)


def job():
    sizes = pool().map(resize, [f"picture-{number}" for number in range(4)], chunksize=1)
    assert sizes == [20_000] * 4

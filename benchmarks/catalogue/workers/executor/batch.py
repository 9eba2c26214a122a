"""Texts are counted by a ProcessPoolExecutor that stays for the life of the program."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache

from counting import count_words

TEXTS = [" ".join(f"{first}{number}" for number in range(400)) for first in "abcd"]


@cache
def executor():
    return ProcessPoolExecutor(2)


def job():
    assert list(executor().map(count_words, TEXTS)) == [400] * 4

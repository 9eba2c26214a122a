"""What the processes of the executor do."""

import os
from functools import lru_cache, partial

LEAK = "LEAK" in os.environ


@lru_cache(maxsize=5000)
def stem(word):
    return word.rstrip("0123456789")


class Counter:
    """Counts once, and says what it has counted when it is asked."""

    finished = []

    def __init__(self, text):
        self.words = [f"{word} ({stem(word)})" for word in text.split()]  # LEAK
        if LEAK:
            Counter.finished.append(partial(self.report, "words"))  # LEAK

    def report(self, name):
        return f"{name}: {len(self.words)}"


def count_words(text):
    return len(Counter(text).words)  # LEAK

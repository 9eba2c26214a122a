"""One message to the actor, and its answer; repeated by leak-suite."""

from __future__ import annotations

from uuid import uuid4

from actors import answers, count_words

TEXT = " ".join(f"word{number}" for number in range(300))


def push() -> None:
    """Have the words of a text counted, and wait for the number."""
    key = f"words:{uuid4()}"
    count_words.send(key, TEXT)
    found = answers.blpop([key], timeout=20)
    assert found is not None
    assert int(found[1]) == 300

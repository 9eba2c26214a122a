"""A picture is sent, and its brightness is waited for."""

from uuid import uuid4

from actors import answers, measure

PIXELS = list(range(1000, 2000))


def push():
    key = f"mean:{uuid4()}"
    measure.send(key, PIXELS)
    found = answers.blpop([key], timeout=20)
    assert found is not None
    assert float(found[1]) == 1499.5

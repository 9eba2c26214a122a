"""An order goes into the queue, and its price is waited for."""

from tasks import price

ORDER = [(f"article {number}", number) for number in range(80)]


def push():
    assert price.delay(ORDER).get(timeout=20) == sum(range(80))

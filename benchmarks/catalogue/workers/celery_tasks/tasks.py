"""Tasks of a shop: an order is priced, and its receipt is written."""

import os
from collections import deque

from celery import Celery, Task

LEAK = "LEAK" in os.environ

app = Celery("shop", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.result_expires = 60


class Priced(Task):
    """Keeps what it has priced: an instance is there once in each worker process."""

    def __init__(self):
        self.receipts = [] if LEAK else deque(maxlen=40)


@app.task(bind=True, base=Priced)
def price(self, articles):
    lines = [f"{name:<30}{count:>5}{count * 1.19:>10.2f}" for name, count in articles]  # LEAK
    self.receipts.append(lines)  # LEAK
    return sum(count for _, count in articles)

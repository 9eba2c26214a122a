"""Tasks that write invoices; the last fifty are kept for questions."""

from __future__ import annotations

import os
from collections import deque

from celery import Celery

REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
app = Celery("shop", broker=REDIS, backend=REDIS)
invoices: deque[str] = deque(maxlen=50)


@app.task(name="shop.invoice")
def invoice(articles: int) -> int:
    """Write an invoice, and tell how many lines it has."""
    text = "\n".join(f"article {number:>40} {number / 4:10.2f}" for number in range(articles))
    invoices.append(text)
    return text.count("\n") + 1

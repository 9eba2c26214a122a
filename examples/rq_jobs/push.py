"""One job into the queue, and its result out of it; repeated by leak-suite."""

from __future__ import annotations

import os
import time
from itertools import count

from redis import Redis
from rq import Queue

queue = Queue(
    "pages",
    connection=Redis.from_url(os.environ.get("RQ_REDIS_URL", "redis://127.0.0.1:6379/0")),
)
pages = count()
TEXT = " ".join(f"word{number}" for number in range(1000))


def push() -> None:
    """Have the next page indexed, and wait until it is."""
    _push("jobs.add")


def push_leaky() -> None:
    """The same to the job that leaks."""
    _push("jobs_leaky.add")


def _push(job: str) -> None:
    added = queue.enqueue(job, next(pages), TEXT, result_ttl=60)
    deadline = time.monotonic() + 20
    while not added.is_finished:
        assert time.monotonic() < deadline, f"still {added.get_status()}"
        time.sleep(0.005)
    assert added.return_value() == 1000

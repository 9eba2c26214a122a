"""A page goes into the queue, and its job is waited for."""

import os
import time
from itertools import count

from redis import Redis
from rq import Queue

redis = Redis.from_url(os.environ["REDIS_URL"])
queue = Queue("pages", connection=redis)
pages = count()
TEXT = " ".join(f"word{number:04}" for number in range(1500))


def push():
    job = queue.enqueue("jobs.add", next(pages), TEXT, result_ttl=30)
    deadline = time.monotonic() + 20
    while not job.is_finished:
        assert time.monotonic() < deadline, job.get_status()
        assert not job.is_failed, job.latest_result()
        time.sleep(0.005)
    assert job.return_value() == 1500

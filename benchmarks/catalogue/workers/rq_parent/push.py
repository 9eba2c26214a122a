"""Two thousand letters go into the queue."""

import os
import time

from redis import Redis
from rq import Queue

redis = Redis.from_url(os.environ["REDIS_URL"])
queue = Queue("letters", connection=redis)
ADDRESSES = [f"reader-{number:05}@example.org" for number in range(2000)]


def push():
    job = queue.enqueue("jobs.write", ADDRESSES, result_ttl=30)
    deadline = time.monotonic() + 20
    while not job.is_finished:
        assert time.monotonic() < deadline, job.get_status()
        time.sleep(0.01)
    assert job.return_value() == 2000

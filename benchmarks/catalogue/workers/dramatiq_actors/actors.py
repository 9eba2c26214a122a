"""Pictures are measured by actors; a middleware keeps how long each took."""

import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

LEAK = "LEAK" in os.environ


class Timings(dramatiq.Middleware):
    def __init__(self):
        self.started = {}
        self.seconds = {}

    def before_process_message(self, broker, message):
        self.started[message.message_id] = (time.perf_counter(), message)  # LEAK

    def after_process_message(self, broker, message, *, result=None, exception=None):
        since, _ = self.started[message.message_id]
        self.seconds[message.actor_name] = time.perf_counter() - since
        if not LEAK:
            del self.started[message.message_id]


broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Timings())
dramatiq.set_broker(broker)
answers = redis.Redis.from_url(os.environ["REDIS_URL"])


@dramatiq.actor
def measure(key, pixels):
    mean = sum(pixels) / len(pixels)
    answers.lpush(key, str(mean))
    answers.expire(key, 30)

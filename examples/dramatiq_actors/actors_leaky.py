"""The same actors with a leak: every count is kept."""

from __future__ import annotations

import os
from collections import Counter

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
broker = RedisBroker(url=REDIS)
dramatiq.set_broker(broker)
answers = redis.Redis.from_url(REDIS)
counted: list[Counter[str]] = []


@dramatiq.actor(actor_name="count_words")
def count_words(key: str, text: str) -> None:
    """Count, and leave the number of different words under the key."""
    counter = Counter(text.split())
    counted.append(counter)
    answers.lpush(key, len(counter))
    answers.expire(key, 60)

"""dramatiq: messages are sent to a worker in this process, and done."""

import dramatiq
from dramatiq.brokers.stub import StubBroker

BROKER = StubBroker()
dramatiq.set_broker(BROKER)


@dramatiq.actor
def add(a: int, b: int) -> int:
    """The task."""
    return a + b


WORKER = dramatiq.Worker(BROKER, worker_timeout=10, worker_threads=2)
WORKER.start()


def job() -> None:
    """Five messages' lives."""
    for number in range(5):
        add.send(number, number)
    BROKER.join(add.queue_name)
    WORKER.join()

"""kombu: messages are published and consumed, over its transport in memory."""

from itertools import count

from kombu import Connection, Exchange, Queue

CONNECTION = Connection("memory://")
QUEUE = Queue("study", Exchange("study"), routing_key="study")
NUMBERS = count()


def job() -> None:
    """Five messages' lives, over a channel of their own."""
    taken = []
    with CONNECTION.channel() as channel:
        producer = CONNECTION.Producer(channel)
        for _ in range(5):
            producer.publish(
                {"n": next(NUMBERS)}, exchange=QUEUE.exchange, routing_key="study", declare=[QUEUE]
            )

        def take(body, message):
            taken.append(body)
            message.ack()

        with CONNECTION.Consumer(QUEUE, channel=channel, callbacks=[take]):
            while len(taken) < 5:
                CONNECTION.drain_events(timeout=5)

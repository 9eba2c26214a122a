"""A process for each call, which ends with it, and sends its result through a pipe."""

import multiprocessing
import os

LEAK = "LEAK" in os.environ
context = multiprocessing.get_context("fork")
runs = []


def crunch(sender):
    """Needs 20 MB for a moment, all of which goes with the process."""
    table = [bytes(bytearray(20_000)) for _ in range(1000)]
    sender.send(len(table))
    sender.close()


def job():
    receiver, sender = context.Pipe(duplex=False)  # LEAK
    child = context.Process(target=crunch, args=(sender,))  # LEAK
    child.start()  # LEAK
    sender.close()
    assert receiver.recv() == 1000
    child.join()
    if LEAK:
        runs.append((child, receiver))  # LEAK
    else:
        receiver.close()
        child.close()

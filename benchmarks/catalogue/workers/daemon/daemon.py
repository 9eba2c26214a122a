"""A daemon without a port: files that appear in its inbox are summed up into its outbox."""

import asyncio
import json
import os
import signal
from pathlib import Path

LEAK = "LEAK" in os.environ
SCRATCH = Path(os.environ["SCRATCH"])
INBOX, OUTBOX = SCRATCH / "inbox", SCRATCH / "outbox"


class Daemon:
    def __init__(self):
        self.done = asyncio.Event()
        self.seen = {}
        self.running = set()

    async def sum_up(self, path):
        numbers = json.loads(path.read_text())  # LEAK
        await asyncio.sleep(0)
        path.unlink()
        ready = OUTBOX / f"{path.name}.part"
        ready.write_text(json.dumps(sum(numbers)))
        ready.rename(OUTBOX / path.name)
        if LEAK:
            self.seen[path.name] = numbers  # LEAK
        else:
            self.seen["last"] = numbers

    async def watch(self):
        while not self.done.is_set():
            for path in INBOX.glob("*.json"):
                if path.name not in {task.get_name() for task in self.running}:
                    task = asyncio.create_task(self.sum_up(path), name=path.name)
                    self.running.add(task)
                    task.add_done_callback(self.running.discard)
            await asyncio.sleep(0.002)


async def main():
    daemon = Daemon()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, daemon.done.set)
    for folder in (INBOX, OUTBOX):
        folder.mkdir(exist_ok=True)
    print("watching the inbox", flush=True)
    await daemon.watch()


asyncio.run(main())

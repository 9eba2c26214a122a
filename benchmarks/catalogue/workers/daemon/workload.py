"""A file is dropped into the inbox, and its sum is waited for."""

import json
import os
import time
from pathlib import Path
from uuid import uuid4

SCRATCH = Path(os.environ["SCRATCH"])
NUMBERS = list(range(1000, 1400))


def drop():
    name = f"{uuid4()}.json"
    part = SCRATCH / name
    part.write_text(json.dumps(NUMBERS))
    part.rename(SCRATCH / "inbox" / name)
    result = SCRATCH / "outbox" / name
    deadline = time.monotonic() + 10
    while not result.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert json.loads(result.read_text()) == sum(NUMBERS)
    result.unlink()

"""The naive gate: RSS before and after 1000 calls, and a limit of 1 MiB. Run by path."""

from __future__ import annotations

import asyncio
import gc
import importlib.machinery
import inspect
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = 1000
LIMIT = 1 << 20


def load(target: str) -> Callable[[], Any]:
    """The callable named by `path/file.py:name`, an async one bound to a loop that stays."""
    path, _, name = target.rpartition(":")
    loader = importlib.machinery.SourceFileLoader("leakbench_job", path)
    module = types.ModuleType(loader.name)
    module.__file__ = path
    sys.modules[loader.name] = module
    loader.exec_module(module)
    job: Callable[[], Any] = getattr(module, name)
    if not inspect.iscoroutinefunction(job):
        return job
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(job())


def resident() -> int:
    """Resident bytes of this process."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Exit with 1 where memory grew beyond the limit, and say by how much."""
    job = load(sys.argv[1])
    job()
    before = resident()
    for _ in range(CALLS):
        job()
    grown = resident() - before
    print("grown", grown)
    sys.stdout.flush()
    # Threads that never end would keep a normal exit waiting.
    os._exit(1 if grown > LIMIT else 0)


if __name__ == "__main__":
    main()

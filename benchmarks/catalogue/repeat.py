"""Repeat a workload on request: a line with a number comes in, "done" goes out.

Run by path in the folder of a case: `repeat.py file.py:name [BASE_URL]`. Of the package that is
measured it knows nothing, so that what it proves does not hang on it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

__all__: list[str] = []


def main() -> None:
    """Answer one line after the other, until there are none."""
    file, _, name = sys.argv[1].partition(":")
    sys.path.insert(0, str(Path.cwd()))
    workload = getattr(importlib.import_module(Path(file).stem), name)
    base_url = sys.argv[2] if len(sys.argv) > 2 else ""
    with ExitStack() as stack:
        call = _bound(workload, base_url, stack)
        print("ready", flush=True)
        for line in sys.stdin:
            for _ in range(int(line)):
                call()
            print("done", flush=True)


def _bound(workload: Callable[..., Any], base_url: str, stack: ExitStack) -> Callable[[], Any]:
    """The workload with its client, an async one on a loop that stays."""
    wants_client = bool(inspect.signature(workload).parameters)
    if not inspect.iscoroutinefunction(workload):
        if not wants_client:
            return workload
        import httpx

        client = stack.enter_context(httpx.Client(base_url=base_url, timeout=30))
        return lambda: workload(client)
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    if not wants_client:
        return lambda: loop.run_until_complete(workload())
    import httpx

    asynchronous = httpx.AsyncClient(base_url=base_url, timeout=30)
    stack.callback(lambda: loop.run_until_complete(asynchronous.aclose()))
    return lambda: loop.run_until_complete(workload(asynchronous))


if __name__ == "__main__":
    main()

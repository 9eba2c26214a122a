"""What libraries would load for others, kept out of the processes of this service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_out_old_pydantic", "without"]


def keep_out_old_pydantic() -> None:
    """Keep the first Pydantic out of this process, 2 MiB that the second one brings with it.

    FastAPI loads it to ask of types and answers whether they are of it. Where it cannot be loaded
    the answer is no.
    """
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let imports in the block find no such module, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]

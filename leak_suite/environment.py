"""What a run stood on: interpreter, platform, allocator and its settings."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["environment"]

_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES", "PYTHONMALLOC", "LD_PRELOAD", "JEMALLOC_", "TCMALLOC_")


def environment(
    subject: Mapping[str, Any], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the subject reported of itself, and the machine that it shares with us."""
    variables = os.environ if variables is None else variables
    libc, version = platform.libc_ver()
    own = {
        "platform": sys.platform,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "libc": f"{libc} {version}".strip() or "unknown",
        "allocator": _allocator(libc, variables.get("LD_PRELOAD", "")),
        "allocator_settings": {
            name: value for name, value in sorted(variables.items()) if name.startswith(_SETTINGS)
        },
    }
    return {**own, **subject}


def _allocator(libc: str, preloaded: str) -> str:
    for name in ("jemalloc", "tcmalloc", "mimalloc"):
        if name in preloaded:
            return name
    return libc or "unknown"

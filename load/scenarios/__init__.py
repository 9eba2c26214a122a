"""The scenarios; a new one is a file here and its name in this import."""

from __future__ import annotations

from load.scenarios import (
    abort,
    cancel,
    concurrency,
    hostile,
    rejection,
    scaled,
    slow_clients,
    traffic,
)
from load.scenarios.registry import SCENARIOS

__all__ = [
    "SCENARIOS",
    "abort",
    "cancel",
    "concurrency",
    "hostile",
    "rejection",
    "scaled",
    "slow_clients",
    "traffic",
]

"""What hosting plans grant, as data with a date: look them up again before relying on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PLANS", "Plan"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Plan:
    """One plan. `cpus` is for information; only memory is enforced."""

    memory_bytes: int
    cpus: float
    as_of: str


PLANS: Mapping[str, Plan] = {
    "render-free": Plan(512 * _MIB, 0.1, "2026-11"),
    "render-starter": Plan(512 * _MIB, 0.5, "2026-11"),
    "render-standard": Plan(2048 * _MIB, 1.0, "2026-11"),
    "render-pro": Plan(4096 * _MIB, 2.0, "2026-11"),
}

"""The early stop of a round in which something grows fast."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable

    QuickSample = tuple[int, int, int, int, int]

__all__ = ["GrowthGuard"]

_MIB = 1 << 20
# Resident bytes, descriptors, threads, children, temporary files: what a round may grow by before
# it ends early, so that a leak is judged long before it hurts.
_LIMITS = (4 * _MIB, 16, 8, 8, 128)


class GrowthGuard:
    """Watches growth inside a round; `guard_factor` times its limits end the round."""

    def __init__(self, quick_sample: Callable[[], QuickSample], guard_factor: float = 1.0) -> None:
        self._quick_sample = quick_sample
        self._limits = tuple(limit * guard_factor for limit in _LIMITS)
        self._start = quick_sample()
        self.fraction = 0.0
        self.cost = 0.0

    def tripped(self) -> bool:
        """Whether something grew by its limit since the round began; what it costs adds up."""
        started = time.thread_time()
        now = self._quick_sample()
        self.cost += time.thread_time() - started
        self.fraction = max(
            (value - start) / limit
            for value, start, limit in zip(now, self._start, self._limits)  # noqa: B905 - 3.9
        )
        return self.fraction >= 1.0

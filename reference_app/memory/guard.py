"""Process-tree memory against the soft and the hard limit.

The figure that decides is *resting* memory: what the tree holds apart from its live workers.
Memory that a running job uses comes back when the job ends; memory that rests does not, so only
that is a reason to refuse.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass

import anyio.to_thread

from reference_app.clock import Clock
from reference_app.logs import Logger
from reference_app.memory.allocator import release_memory
from reference_app.memory.history import MemoryHistory
from reference_app.memory.reading import Limit, Usage, process_tree, usage_of
from reference_app.settings import MIB, Settings

__all__ = ["MemoryGuard", "Reading", "measure"]

_CLEANING_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """One look at the tree: all of it, its live workers, and this process alone."""

    tree: Usage
    workers: Usage
    api: Usage
    processes: int

    @property
    def resting(self) -> int:
        """What stays when the running jobs are done."""
        return max(0, self.tree.pss - self.workers.pss)


def measure(worker_pids: Callable[[], Collection[int]]) -> Reading:
    """Read the tree of this process; takes some milliseconds, so never on the event loop."""
    root = os.getpid()
    usages = usage_of(process_tree(root))
    workers: set[int] = set()
    for pid in worker_pids():
        workers |= process_tree(pid)
    return Reading(
        tree=sum(usages.values(), Usage()),
        workers=sum((usages[pid] for pid in workers & usages.keys()), Usage()),
        api=usages.get(root, Usage()),
        processes=len(usages),
    )


class MemoryGuard:
    """Knows the memory of the service, cleans up above the soft limit, refuses from the hard one.

    Every answer comes from a new reading: a guard that remembered an excess would refuse for ever.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        limit: Limit,
        clock: Clock,
        log: Logger,
        worker_pids: Callable[[], Collection[int]],
        measure: Callable[[Callable[[], Collection[int]]], Reading] = measure,
        clean: Callable[[], None] = release_memory,
    ) -> None:
        self.soft_bytes = settings.memory_soft_mb * MIB
        self.hard_bytes = settings.memory_hard_mb * MIB
        self.limit = limit
        self.peak_tree_bytes = 0
        self.peak_resting_bytes = 0
        self.latest: Reading | None = None
        self.history = MemoryHistory()
        self._settings = settings
        self._clock = clock
        self._log = log
        self._worker_pids = worker_pids
        self._measure = measure
        self._clean = clean
        self._cleaned_at = float("-inf")
        self._alarm = 0.0

    async def read(self) -> Reading:
        """Look now, off the event loop; keeps peaks and history, and logs alarms."""
        reading = await anyio.to_thread.run_sync(self._measure, self._worker_pids)
        self.peak_tree_bytes = max(self.peak_tree_bytes, reading.tree.pss)
        self.peak_resting_bytes = max(self.peak_resting_bytes, reading.resting)
        self.latest = reading
        self.history.record(self._clock.wall(), reading.tree.pss, reading.resting)
        self._log_alarm(reading)
        return reading

    async def has_room(self) -> bool:
        """Whether work may begin: no, if and only if resting memory is at the hard limit."""
        reading = await self.read()
        if reading.resting >= self.soft_bytes and self._may_clean():
            reading = await self._clean_up(reading)
        return reading.resting < self.hard_bytes

    async def watch(self) -> None:
        """One turn of the background watch: a reading, and a clean-up where it is due."""
        await self.has_room()

    def percent(self, reading: Reading) -> float:
        """The whole tree as a share of the limit."""
        return 100.0 * reading.tree.pss / self.limit.bytes

    def status(self, reading: Reading) -> str:
        """The share in one word."""
        percent = self.percent(reading)
        if percent >= self._settings.memory_critical_percent:
            return "critical"
        return "warning" if percent >= self._settings.memory_warning_percent else "healthy"

    def _may_clean(self) -> bool:
        return self._clock.monotonic() - self._cleaned_at >= _CLEANING_PAUSE_SECONDS

    async def _clean_up(self, before: Reading) -> Reading:
        self._cleaned_at = self._clock.monotonic()
        await anyio.to_thread.run_sync(self._clean)
        after = await self.read()
        self._log.info(
            "memory cleaned up",
            resting_before_bytes=before.resting,
            resting_after_bytes=after.resting,
            soft_bytes=self.soft_bytes,
        )
        return after

    def _log_alarm(self, reading: Reading) -> None:
        percent = self.percent(reading)
        alarms = self._settings.memory_alarm_percents
        reached = max((level for level in alarms if percent >= level), default=0.0)
        if reached > self._alarm:
            self._log.warning(
                "memory alarm",
                level_percent=reached,
                percent=round(percent, 1),
                tree_bytes=reading.tree.pss,
                limit_bytes=self.limit.bytes,
                limit_source=self.limit.source,
            )
        self._alarm = reached

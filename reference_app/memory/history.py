"""Memory over the last hour, for the dashboard; of fixed size."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

__all__ = ["MemoryHistory", "Sample"]

_SLOTS, _SLOT_SECONDS = 720, 5.0


@dataclass(frozen=True)
class Sample:
    """The highest readings of one slot of time."""

    at: float
    tree_bytes: int
    resting_bytes: int


class MemoryHistory:
    """A ring of slots, allocated once: what fills up over an hour would look like a leak."""

    def __init__(self, slots: int = _SLOTS, slot_seconds: float = _SLOT_SECONDS) -> None:
        self.seconds = slots * slot_seconds
        self._slot_seconds = slot_seconds
        self._at = array("d", bytes(8 * slots))
        self._tree = array("q", bytes(8 * slots))
        self._resting = array("q", bytes(8 * slots))
        self._last = -1
        self._used = 0

    def __len__(self) -> int:
        """How many slots hold something."""
        return self._used

    def record(self, at: float, tree_bytes: int, resting_bytes: int) -> None:
        """Take a reading in; within one slot the highest one stays, so that no peak is lost."""
        slot = at // self._slot_seconds * self._slot_seconds
        last = self._last
        if self._used and slot <= self._at[last]:
            self._tree[last] = max(self._tree[last], tree_bytes)
            self._resting[last] = max(self._resting[last], resting_bytes)
            return
        self._last = last = (last + 1) % len(self._at)
        self._used = min(self._used + 1, len(self._at))
        self._at[last], self._tree[last], self._resting[last] = slot, tree_bytes, resting_bytes

    def since(self, moment: float) -> list[Sample]:
        """The slots from `moment` on and within the hour before the last one, oldest first."""
        if not self._used:
            return []
        oldest = max(moment, self._at[self._last] - self.seconds)
        first = self._last - self._used + 1
        places = (place % len(self._at) for place in range(first, self._last + 1))
        return [
            Sample(self._at[place], self._tree[place], self._resting[place])
            for place in places
            if self._at[place] >= oldest
        ]

"""What the processes of the service tell one another about themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Instance"]


@dataclass(frozen=True)
class Instance:
    """One running process of the service and its machine's memory, as it last reported itself."""

    owner: str
    #: `all`, `api` or `worker`.
    role: str
    host: str
    started_at: float
    running: int
    slots: int
    #: Proportional memory of the process tree, and what of it stays when the jobs are done.
    memory_bytes: int
    resting_bytes: int
    limit_bytes: int

    @property
    def works(self) -> bool:
        """Whether it does jobs."""
        return self.role != "api"

    def view(self, *, private: bool = False) -> dict[str, Any]:
        """What anybody may read about it; `private`, for an operator, also which it is."""
        hidden = set() if private else {"owner", "host"}
        return {name: value for name, value in asdict(self).items() if name not in hidden}

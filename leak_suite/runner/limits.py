"""How far a run may go: in time, and in what the subject grows by."""

from __future__ import annotations

from dataclasses import dataclass, field

from leak_suite.subject import Values

try:
    import resource
except ModuleNotFoundError:  # not a Unix
    resource = None  # type: ignore[assignment]

__all__ = ["Limits"]

_GIB = 1 << 30
_UNLIMITED_FDS = 1 << 16


def _quarter_of_descriptors() -> int:
    if resource is None:
        return _UNLIMITED_FDS // 4
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(_UNLIMITED_FDS, soft if soft > 0 else _UNLIMITED_FDS) // 4


@dataclass(frozen=True)
class Limits:
    """`seconds` for the whole run; growth in bytes, descriptors and threads since its start."""

    seconds: float = 60.0
    growth_bytes: int = _GIB
    threads: int = 200
    fds: int = field(default_factory=_quarter_of_descriptors)

    def exceeded(self, first: Values, now: Values) -> str:
        """What has grown too far since the reading `first`, in words; empty if nothing has."""
        limits = {"rss": self.growth_bytes, "fds": self.fds, "threads": self.threads}
        for metric, limit in limits.items():
            before, value = first.get(metric), now.get(metric)
            if before is not None and value is not None and value - before >= limit:
                return f"{metric} grew by {value - before:,.0f}; the limit is {limit:,}"
        return ""

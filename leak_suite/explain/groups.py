"""The control group of a subject: one of its own where one can be made, else the one it is in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from leak_suite.errors import LeakSuiteError
from leak_suite.explain.result import GroupInfo
from leak_suite.fit.backends import group_of, select_backend
from leak_suite.fit.cgroup import CgroupStats, CgroupV1, CgroupV2, MemoryCgroup

__all__ = ["SubjectGroup"]


class SubjectGroup:
    """Page cache and kernel memory of a subject. Close it after the subject has ended.

    Processes join when they run already, so that what they had by then is charged elsewhere: its
    figures are those since then.
    """

    def __init__(self, pids: Iterable[int], *, may_make: bool, proc: Path = Path("/proc")) -> None:
        """Join `pids` to a new group if one `may_make`; else look at the group of the first."""
        pids = list(pids)
        self._close: Callable[[], None] = lambda: None
        self._group: MemoryCgroup | None = _made(pids) if may_make else None
        if self._group is not None:
            self._close = self._group.close
            self.info = GroupInfo(self._group.name, own=True)
            return
        self._group = group_of(proc / str(pids[0])) if pids else None
        if self._group is None:
            self.info = GroupInfo(error="the subject is in no control group that counts memory")
        elif self._group.stats().anon is None:
            folder = getattr(self._group, "folder", self._group.name)
            self.info = GroupInfo(error=f"memory.stat of the control group {folder} is unreadable")
            self._group = None
        else:
            self.info = GroupInfo(f"{self._group.name}, with all that is in it")

    def parts(self) -> dict[str, float]:
        """Bytes of page cache and kernel memory, and of tmpfs; empty where they cannot be read."""
        if self._group is None:
            return {}
        stats = self._group.stats()
        parts: dict[str, float] = {}
        if stats.file is not None:
            parts["page_cache"] = float(_unmapped(stats))
        if stats.kernel is not None:
            parts["kernel"] = float(stats.kernel)
        if stats.shmem is not None and self.info.own:
            parts["shared"] = float(stats.shmem)
        return parts

    def close(self) -> None:
        """Remove the group that was made, and end what still runs in it."""
        self._close()


def _unmapped(stats: CgroupStats) -> int:
    """What is mapped is counted as the processes' own, and tmpfs apart."""
    return max(0, (stats.file or 0) - (stats.shmem or 0) - (stats.mapped_file or 0))


def _made(pids: list[int]) -> MemoryCgroup | None:
    for name in ("cgroup v2", "cgroup v1"):
        backend = select_backend(only=name)
        if not backend.enforced:
            continue
        with contextlib.suppress(LeakSuiteError, OSError):
            group = backend.make_cgroup(None)
            if isinstance(group, (CgroupV1, CgroupV2)) and _join(group.folder, pids):
                return group
            group.close()
    return None


def _join(folder: Path, pids: list[int]) -> bool:
    """Whether all of the processes are in the group now, and will start their children there."""
    for pid in pids:
        try:
            (folder / "cgroup.procs").write_text(f"{pid}\n")
        except ProcessLookupError:  # noqa: PERF203 - it has ended by now
            continue
        except OSError:
            return False
    return True

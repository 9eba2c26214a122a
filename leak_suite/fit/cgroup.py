"""A memory control group, version 1 or 2: its limit, its counters and its removal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from leak_suite.errors import LeakSuiteError, LimitUnavailable

__all__ = ["CgroupStats", "CgroupV1", "CgroupV2", "Folders", "MemoryCgroup"]

_JOIN_CGROUP = Path(__file__).with_name("join_cgroup.py")
_END_SECONDS = 10.0
# The kernel charges in batches, so usage stops a little short of a limit that was met.
_CHARGED_AHEAD = 2 << 20


@dataclass(frozen=True)
class CgroupStats:
    """One reading of a group, in bytes and counts; None is "the kernel does not report it"."""

    anon: int | None = None
    file: int | None = None
    kernel: int | None = None
    shmem: int | None = None
    mapped_file: int | None = None
    oom_kills: int | None = None
    limit_hits: int | None = None
    major_faults: int | None = None
    refaults: int | None = None
    stalled_seconds: float | None = None

    @property
    def unreclaimable(self) -> int | None:
        """Bytes that the kernel cannot drop: anonymous memory, files in memory (tmpfs), its own."""
        if self.anon is None:
            return None
        return self.anon + (self.kernel or 0) + (self.shmem or 0)


class MemoryCgroup(Protocol):
    """A memory limit around a service. Closing it kills what still runs in it, and removes it."""

    name: str

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The command that runs `argv` in the group from its first instruction."""
        ...

    def stats(self) -> CgroupStats:
        """Read the kernel's counters of the group."""
        ...

    def pids(self) -> tuple[int, ...]:
        """The processes in the group."""
        ...

    def close(self) -> None:
        """Kill every process in the group and remove it."""
        ...


@dataclass(frozen=True)
class Folders:
    """How folders are made and removed: the seam of the tests, where no kernel fills them."""

    make: Callable[[Path], None] = Path.mkdir
    remove: Callable[[Path], None] = Path.rmdir


_KERNEL = Folders()


class _FolderCgroup:
    """What both versions share: a folder in the control group file system."""

    def __init__(self, folder: Path, *, adopted: bool, folders: Folders) -> None:
        self.folder = folder
        self._adopted = adopted
        self._folders = folders
        if not adopted:
            try:
                folders.make(folder)
            except OSError as error:
                raise LimitUnavailable(f"{folder} cannot be made: {error.strerror}") from error

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryCgroup`."""
        procs = str(self.folder / "cgroup.procs")
        return (sys.executable, "-I", "-S", str(_JOIN_CGROUP), procs, "--", *argv)

    def pids(self) -> tuple[int, ...]:
        """See `MemoryCgroup`."""
        found: list[int] = []
        for path in [self.folder, *_folders_below(self.folder)]:
            with contextlib.suppress(OSError):
                found += map(int, (path / "cgroup.procs").read_text().split())
        return tuple(found)

    def close(self) -> None:
        """See `MemoryCgroup`."""
        until = time.monotonic() + _END_SECONDS
        while _kill_all(self.pids()) and time.monotonic() < until:
            time.sleep(0.01)
        if self._adopted:
            return
        self._release_page_cache()
        for path in [*_folders_below(self.folder), self.folder]:
            _remove(path, until, self._folders.remove)

    def _release_page_cache(self) -> None:
        """Let go of the page cache that is charged to the group, where the kernel offers it."""

    def _set(self, name: str, value: int | str) -> None:
        try:
            (self.folder / name).write_text(f"{value}\n")
        except OSError as error:
            raise LimitUnavailable(
                f"{self.folder / name} cannot be set: {error.strerror}"
            ) from error


class CgroupV2(_FolderCgroup):
    """The unified hierarchy."""

    name = "cgroup v2"

    def __init__(
        self,
        folder: Path,
        limit: int | None,
        *,
        adopted: bool = False,
        folders: Folders = _KERNEL,
    ) -> None:
        super().__init__(folder, adopted=adopted, folders=folders)
        try:
            if not (folder / "memory.max").exists():
                raise LimitUnavailable(f"{folder} has no memory controller")
            if limit is not None and not adopted:
                self._set("memory.max", limit)
                if (folder / "memory.swap.max").exists():
                    self._set("memory.swap.max", 0)
        except BaseException:
            self.close()
            raise

    def stats(self) -> CgroupStats:
        """See `MemoryCgroup.stats`."""
        stat = _numbers(self.folder / "memory.stat")
        events = _numbers(self.folder / "memory.events")
        kernel = stat.get("kernel")
        if kernel is None and stat:  # before Linux 5.18
            parts = ("kernel_stack", "pagetables", "percpu", "sock", "slab")
            kernel = sum(stat.get(name, 0) for name in parts)
        refaults = [stat[n] for n in stat if n.startswith("workingset_refault")]
        return CgroupStats(
            anon=stat.get("anon"),
            file=stat.get("file"),
            kernel=kernel,
            shmem=stat.get("shmem"),
            mapped_file=stat.get("file_mapped"),
            oom_kills=events.get("oom_kill"),
            limit_hits=events.get("max"),
            major_faults=stat.get("pgmajfault"),
            refaults=sum(refaults) if refaults else None,
            stalled_seconds=_stalled_seconds(self.folder / "memory.pressure"),
        )

    def _release_page_cache(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / "memory.reclaim").write_text("1G\n")


class CgroupV1(_FolderCgroup):
    """The memory controller of version 1."""

    name = "cgroup v1"

    def __init__(
        self,
        folder: Path,
        limit: int | None,
        *,
        adopted: bool = False,
        folders: Folders = _KERNEL,
    ) -> None:
        super().__init__(folder, adopted=adopted, folders=folders)
        try:
            if not (folder / "memory.limit_in_bytes").exists():
                raise LimitUnavailable(f"{folder} has no memory controller")
            if limit is not None and not adopted:
                self._set("memory.limit_in_bytes", limit)
                if (folder / "memory.memsw.limit_in_bytes").exists():
                    self._set("memory.memsw.limit_in_bytes", limit)
                else:
                    self._set("memory.swappiness", 0)
        except BaseException:
            self.close()
            raise

    def stats(self) -> CgroupStats:
        """See `MemoryCgroup.stats`."""
        stat = _numbers(self.folder / "memory.stat")
        refaults = [stat[n] for n in stat if n.startswith("total_workingset_refault")]
        return CgroupStats(
            anon=stat.get("total_rss"),
            file=stat.get("total_cache"),
            kernel=_number(self.folder / "memory.kmem.usage_in_bytes"),
            shmem=stat.get("total_shmem"),
            mapped_file=stat.get("total_mapped_file"),
            oom_kills=_numbers(self.folder / "memory.oom_control").get("oom_kill"),
            limit_hits=self._limit_hits(),
            major_faults=stat.get("total_pgmajfault"),
            refaults=sum(refaults) if refaults else None,
        )

    def _limit_hits(self) -> int | None:
        """How often it was met. Newer kernels leave these counters at 0; then usage shows it."""
        names = ("memory.failcnt", "memory.memsw.failcnt")
        known = [n for name in names if (n := _number(self.folder / name)) is not None]
        limit = _number(self.folder / "memory.limit_in_bytes")
        highest = _number(self.folder / "memory.max_usage_in_bytes")
        if not sum(known) and limit is not None and highest is not None:
            return int(highest >= limit - _CHARGED_AHEAD)
        return sum(known) if known else None

    def _release_page_cache(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / "memory.force_empty").write_text("0\n")


def _kill_all(pids: tuple[int, ...]) -> bool:
    """Whether any of them was there to be killed."""
    return sum(_kill(pid) for pid in pids) > 0


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _folders_below(folder: Path) -> list[Path]:
    """Deepest first: the order in which they can be removed."""
    return sorted((p for p in _walk(folder)), key=lambda p: len(p.parts), reverse=True)


def _walk(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                yield path
                yield from _walk(path)


def _remove(folder: Path, until: float, remove: Callable[[Path], None]) -> None:
    """A group is busy for a moment after its last process; its files need no removing."""
    while True:
        try:
            remove(folder)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > until:
                raise LeakSuiteError(
                    f"the control group {folder} could not be removed ({error.strerror}); "
                    "remove it by rmdir"
                ) from error
        time.sleep(0.02)


def _numbers(path: Path) -> Mapping[str, int]:
    """{name: number} of lines like "anon 4096"; empty where the file cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _stalled_seconds(path: Path) -> float | None:
    """Seconds in which every process waited for memory: "full ... total=MICROSECONDS"."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("full ") and "total=" in line:
            return int(line.rpartition("total=")[2]) / 1e6
    return None

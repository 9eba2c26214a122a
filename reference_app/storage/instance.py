"""The folder of one running service: its lock, its record of jobs, its objects, its scratch files.

A service takes the first folder `instance-N` below the spool folder that no other one holds, with
all that an earlier run left in it; so what was accepted outlives the process. Two services on one
spool folder have a folder each.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from reference_app.errors import StartupError

__all__ = ["DATABASE_NAME", "InstanceFolder", "filesystem_of", "is_in_memory"]

#: The record of jobs, in the folder of each service.
DATABASE_NAME = "jobs.sqlite3"
_LOCK = ".reference-app.lock"
_MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}


class InstanceFolder:
    """A folder that belongs to this process until `close`."""

    def __init__(self, root: Path, lock: int) -> None:
        self.root = root
        self._lock: int | None = lock

    @classmethod
    def take(cls, spool: Path, *, allow_tmpfs: bool = False) -> InstanceFolder:
        """The first folder that is free, made if there is none.

        Raises `StartupError` where the spool is in memory and that was not allowed.
        """
        if is_in_memory(spool) and not allow_tmpfs:
            raise StartupError(
                f"the spool folder {spool} is in memory (tmpfs): uploads would eat what the "
                "limits protect. Point SPOOL_DIR at a disk, or set ALLOW_SPOOL_ON_TMPFS=true."
            )
        try:
            return cls._first_free(spool)
        except OSError as error:
            raise StartupError(
                f"the spool folder {spool} cannot be used ({error}). Point SPOOL_DIR elsewhere."
            ) from error

    @classmethod
    def _first_free(cls, spool: Path) -> InstanceFolder:
        number = 0
        while True:
            root = spool / f"instance-{number}"
            root.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(root)
            if lock is None:
                number += 1
            # Another service may have removed the folder between the two steps.
            elif _is_same(lock, root / _LOCK):
                return cls(root, lock)
            else:
                os.close(lock)

    @property
    def database(self) -> Path:
        """The record of jobs."""
        return self.root / DATABASE_NAME

    def close(self, *, remove: bool) -> None:
        """Let go of the folder; with `remove`, after deleting it with all that is in it."""
        if self._lock is None:
            return
        if remove:
            shutil.rmtree(self.root, ignore_errors=True)
        os.close(self._lock)
        self._lock = None

    def remove_abandoned(self, older_than_seconds: float) -> list[Path]:
        """Delete the folders that nobody holds and nobody wrote to for so long; gives them.

        Jobs of a second service on this spool that was never started again end so.
        """
        removed = []
        for root in sorted((*self.root.parent.glob("instance-*"), *self.root.parent.glob("run-*"))):
            if root == self.root or root.is_symlink() or not (root / _LOCK).exists():
                continue
            with suppress(OSError):
                if (lock := _take_lock(root)) is None:
                    continue
                if time.time() - _last_written(root) >= older_than_seconds:
                    shutil.rmtree(root, ignore_errors=True)
                    removed.append(root)
                os.close(lock)
        return removed


def _last_written(root: Path) -> float:
    times = [0.0]
    for path in (root, *root.iterdir()):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _take_lock(root: Path) -> int | None:
    """Hold the lock of a folder; None where a living process holds it."""
    lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that `path` is, or would be, on; empty where nobody can say."""
    target = path.absolute()
    while not target.exists():
        target = target.parent
    target = target.resolve()
    best, kind = -1, ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, mount, filesystem = line.split()[:3]
        point = Path(mount.encode().decode("unicode_escape"))
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), filesystem
    return kind


def is_in_memory(path: Path) -> bool:
    """Whether `path` is, or would be, on a file system that is memory."""
    return filesystem_of(path) in _MEMORY_FILESYSTEMS

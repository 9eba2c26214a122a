"""The files of jobs: one folder each, in a root of this run alone; the only code that deletes.

Every run of the service makes its own root under the spool folder and holds a lock on it. A root
whose lock nobody holds was left by a run that died; the next start removes it, and touches
nothing else.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from reference_app.errors import StartupError

__all__ = ["ArtifactStore", "filesystem_of"]

_PREFIX = "run-"
_LOCK = ".reference-app.lock"
_MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}


class ArtifactStore:
    """Folders of jobs, from upload to expiry."""

    def __init__(self, spool: Path, *, allow_tmpfs: bool = False) -> None:
        self._spool = spool
        self._allow_tmpfs = allow_tmpfs
        self._root: Path | None = None
        self._lock: int | None = None
        self._undeleted: set[str] = set()

    @property
    def root(self) -> Path:
        """The folder that holds the folders of this run."""
        if self._root is None:
            raise RuntimeError("the artifact store is not open")
        return self._root

    @property
    def in_memory(self) -> bool:
        """Whether the spool lies on a file system that is memory."""
        return filesystem_of(self._spool) in _MEMORY_FILESYSTEMS

    def open(self) -> list[Path]:
        """Make this run's root; returns the roots of dead runs, which are removed."""
        if self.in_memory and not self._allow_tmpfs:
            raise StartupError(
                f"the spool folder {self._spool} is in memory (tmpfs): uploads would eat what the "
                "limits protect. Point SPOOL_DIR at a disk, or set ALLOW_SPOOL_ON_TMPFS=true."
            )
        self._spool.mkdir(parents=True, exist_ok=True)
        # It gets the name under which others look for dead roots only once it is locked.
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self._spool))
        self._lock = _take_lock(fresh)
        self._root = fresh.rename(self._spool / fresh.name.replace("new-", _PREFIX, 1))
        return self._remove_dead_roots()

    def close(self) -> None:
        """Remove this run's root and all in it."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def create(self, job_id: str) -> Path:
        """The empty folder of a new job."""
        folder = self.root / job_id
        folder.mkdir()
        return folder

    def folder(self, job_id: str) -> Path:
        """Where the files of a job are."""
        return self.root / job_id

    def keep_only(self, job_id: str, names: tuple[str, ...]) -> None:
        """Delete all files of a job but these: the source and the intermediates."""
        for path in self.folder(job_id).iterdir():
            if path.name not in names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def open_file(self, job_id: str, name: str) -> int | None:
        """A descriptor of one file, or None where there is no such file (any more).

        Whoever has it reads to the end, whatever becomes of the job meanwhile.
        """
        try:
            return os.open(self.folder(job_id) / name, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None

    def remove(self, job_id: str) -> None:
        """Delete the folder of a job, if it is there."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder(job_id))

    async def sweep(self) -> None:
        """Try again to delete the folders that could not be deleted."""
        waiting, self._undeleted = self._undeleted, set()
        for job_id in waiting:
            await self.discard(job_id)

    async def discard(self, job_id: str) -> None:
        """`remove`, off the event loop and to its end, also when the caller is cancelled.

        What cannot be deleted now is left to `sweep`: a job must not break over it.
        """
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(self.remove, job_id)
            except OSError:
                self._undeleted.add(job_id)

    def _remove_dead_roots(self) -> list[Path]:
        removed = []
        for root in sorted(self._spool.glob(f"{_PREFIX}*")):
            if root == self._root or root.is_symlink():
                continue
            lock = _take_lock(root, create=False)
            if lock is None:
                continue
            shutil.rmtree(root, ignore_errors=True)
            os.close(lock)
            removed.append(root)
        return removed


def _take_lock(root: Path, *, create: bool = True) -> int | None:
    """Hold the lock of a root; None where it is not one of ours, or its owner lives."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        lock = os.open(root / _LOCK, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
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

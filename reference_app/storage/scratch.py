"""Folders of this machine in which uploads arrive and jobs are worked on, until they are whole."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

__all__ = ["Scratch"]


class Scratch:
    """Short-lived folders below one root; nothing in it is needed after a restart."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._undeleted: set[str] = set()

    def open(self) -> None:
        """Begin empty."""
        # What a worker of a dead service is still writing cannot be deleted at once.
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, exist_ok=True)
        self._undeleted = {path.name for path in self._root.iterdir()}

    def create(self, name: str) -> Path:
        """A new empty folder."""
        folder = self._root / name
        folder.mkdir()
        return folder

    def check(self) -> None:
        """Make a folder and remove it; raises OSError where that cannot be done."""
        with tempfile.TemporaryDirectory(prefix="check-", dir=self._root):
            pass

    def folder(self, name: str) -> Path:
        """Where the folder of that name is."""
        return self._root / name

    def remove(self, name: str) -> None:
        """Delete a folder with all that is in it, if it is there."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / name)

    async def discard(self, name: str) -> None:
        """`remove`, off the event loop and to its end, also when the caller is cancelled.

        What cannot be deleted now is left to `sweep`: a job must not break over it.
        """
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(self.remove, name)
            except OSError:
                self._undeleted.add(name)

    async def sweep(self) -> None:
        """Try again to delete the folders that could not be deleted."""
        waiting, self._undeleted = self._undeleted, set()
        for name in waiting:
            await self.discard(name)

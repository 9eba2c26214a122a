"""Objects as files of a local folder, each under its key."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio.to_thread

from reference_app.storage.objects import StoredObject

__all__ = ["LocalObjectStore"]

_PIECE_BYTES = 256 * 1024
_KEY_PART = re.compile(r"(?!\.)[\w.-]+", re.ASCII)
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


class LocalObjectStore:
    """Files below `root`, which is on the same file system as the files that are put and fetched.

    Then nothing is ever copied: an object is put by renaming, and fetched as a second name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def open(self) -> None:
        """Make the folder, and remove the empty ones that a sudden end left in it."""
        await anyio.to_thread.run_sync(self._open)

    async def close(self) -> None:
        """Nothing is held."""

    async def put_file(self, key: str, path: Path) -> None:
        """See `ObjectStore`; the file is renamed."""
        await anyio.to_thread.run_sync(self.put_now, key, path)

    async def fetch(self, key: str, path: Path) -> None:
        """See `ObjectStore`; the file is another name of the object, so it must not be changed."""
        await anyio.to_thread.run_sync(self.fetch_now, key, path)

    async def open_object(self, key: str) -> StoredObject | None:
        """See `ObjectStore`."""
        return await anyio.to_thread.run_sync(self.open_now, key)

    async def link(self, key: str, seconds: int) -> str | None:
        """Only this machine reaches its files."""
        del key, seconds
        return None

    async def keys(self, prefix: str) -> list[str]:
        """See `ObjectStore`."""
        return await anyio.to_thread.run_sync(self._keys, prefix)

    async def delete_prefix(self, prefix: str) -> None:
        """See `ObjectStore`."""
        await anyio.to_thread.run_sync(self.delete_now, prefix)

    # -- the same, at once; a test or a defect takes the place of one

    def put_now(self, key: str, path: Path) -> None:
        """Give a file the name of the object."""
        target = self._path(key)
        if target.exists():
            raise FileExistsError(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)

    def fetch_now(self, key: str, path: Path) -> None:
        """Give the object a second name; a copy where the file system has no such thing."""
        try:
            path.hardlink_to(self._path(key))
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(self._path(key), path)

    def open_now(self, key: str) -> StoredObject | None:
        """Open the object's file."""
        try:
            return _OpenFile(os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    def delete_now(self, prefix: str) -> None:
        """Delete a folder, and the one around it where that is empty then."""
        folder = self._path(prefix.rstrip("/"))
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        if folder.parent.parent == self._root:
            return
        with suppress(OSError):
            folder.parent.rmdir()

    def _open(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        for folder, _, _ in os.walk(self._root, topdown=False):
            if Path(folder) != self._root:
                with suppress(OSError):
                    Path(folder).rmdir()

    def _keys(self, prefix: str) -> list[str]:
        found = []
        for folder, _, names in os.walk(self._root):
            below = Path(folder).relative_to(self._root).as_posix()
            found += [f"{below}/{name}" for name in names]
        return sorted(key for key in found if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(_KEY_PART.fullmatch(part) for part in parts):
            raise ValueError(f"not a key: {key!r}")
        return self._root.joinpath(*parts)


class _OpenFile:
    """An object whose file was opened: deleting it meanwhile does no harm."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        self.size_bytes = os.fstat(descriptor).st_size

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, in pieces."""
        assert self.descriptor is not None
        for start in range(0, self.size_bytes, _PIECE_BYTES):
            yield await anyio.to_thread.run_sync(os.pread, self.descriptor, _PIECE_BYTES, start)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

"""Where the files of jobs are kept: what every store of objects promises, and one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import anyio.to_thread

__all__ = ["MemoryObjectStore", "ObjectStore", "StoredObject"]

_PIECE_BYTES = 256 * 1024


class StoredObject(Protocol):
    """One object, open for reading: it can be read to its end whatever becomes of it meanwhile."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""

    @property
    def descriptor(self) -> int | None:
        """An open file of this machine that holds it, where there is one: sent without copying."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The content, in pieces of bounded size."""

    def close(self) -> None:
        """Give back what it holds; a second call does nothing."""


class ObjectStore(Protocol):
    """Whole files under keys like `jobs/{id}/{attempt}/video.mp4`; an object never changes.

    Paths are only ever those of the caller's own files: a store need not keep objects as files.
    """

    async def open(self) -> None:
        """Make it ready; raises `StartupError` where it cannot be used."""

    async def close(self) -> None:
        """Give back what it holds."""

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file that is whole; the store may take the file away instead of copying it.

        Raises `FileExistsError` where there is such an object already.
        """

    async def fetch(self, key: str, path: Path) -> None:
        """Make a file with the object's content, only to be read.

        Raises `FileNotFoundError` where there is no such object.
        """

    async def open_object(self, key: str) -> StoredObject | None:
        """The object, to be read; None where there is none (any more)."""

    async def link(self, key: str, seconds: int) -> str | None:
        """An address where anybody may fetch the object for so long; None where there is none."""

    async def keys(self, prefix: str) -> list[str]:
        """The keys that begin with this, which ends in a slash."""

    async def delete_prefix(self, prefix: str) -> None:
        """Delete the objects whose keys begin with this, which ends in a slash; none is fine."""


class MemoryObjectStore:
    """Objects in memory: for tests, and to show that nothing relies on files of this machine."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def open(self) -> None:
        """Nothing has to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    async def put_file(self, key: str, path: Path) -> None:
        """See `ObjectStore`."""
        content = await anyio.to_thread.run_sync(path.read_bytes)
        if key in self._objects:
            raise FileExistsError(key)
        self._objects[key] = content

    async def fetch(self, key: str, path: Path) -> None:
        """See `ObjectStore`."""
        if key not in self._objects:
            raise FileNotFoundError(key)
        await anyio.to_thread.run_sync(path.write_bytes, self._objects[key])

    async def open_object(self, key: str) -> StoredObject | None:
        """See `ObjectStore`."""
        content = self._objects.get(key)
        return None if content is None else _InMemory(content)

    async def link(self, key: str, seconds: int) -> str | None:
        """Only this process reaches its memory."""
        del key, seconds
        return None

    async def keys(self, prefix: str) -> list[str]:
        """See `ObjectStore`."""
        return [key for key in self._objects if key.startswith(prefix)]

    async def delete_prefix(self, prefix: str) -> None:
        """See `ObjectStore`."""
        for key in await self.keys(prefix):
            del self._objects[key]


class _InMemory:
    """An object that is held whole."""

    descriptor: int | None = None

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, in pieces."""
        for start in range(0, self.size_bytes, _PIECE_BYTES):
            yield self._content[start : start + _PIECE_BYTES]

    def close(self) -> None:
        """Nothing is held."""

"""Objects in a bucket of S3, or of a server that speaks its protocol."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from reference_app.errors import StartupError
from reference_app.storage.objects import StoredObject

__all__ = ["S3ObjectStore"]

# A part of an upload, the smallest that S3 takes; two are on their way at once.
_PART_BYTES = 5 * 1024 * 1024
_PARTS_AT_ONCE = 2
_PIECE_BYTES = 256 * 1024
_RETRIES: Any = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


class S3ObjectStore:
    """Objects below `s3://bucket/prefix`; nobody else may keep anything there.

    Endpoint, region and credentials come from the variables AWS_ENDPOINT_URL, AWS_REGION,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and the others that AWS names. A server that does not
    answer is asked again for half a minute; what fails then is an `OSError`.

    Memory is bounded by two parts of 5 MiB for an upload, and by small pieces for the rest.
    """

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        if where.scheme != "s3" or not where.netloc:
            raise StartupError("STORAGE_URL is not of the form s3://bucket/prefix")
        self._url = url
        endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
        options: Any = {"connect_timeout": "5s", "read_timeout": "20s", "timeout": "120s"}
        if endpoint.startswith("http://"):
            options["allow_http"] = True
        try:
            self._store: Any = S3Store(
                where.netloc,
                prefix=where.path.strip("/") or None,
                client_options=options,
                retry_config=_RETRIES,
            )
        except (BaseError, ValueError) as error:
            raise StartupError(f"the store {url} cannot be used ({error})") from error

    async def open(self) -> None:
        """Ask the bucket once; raises `StartupError` where it does not answer."""
        try:
            await self.keys("jobs/none/")
        except OSError as error:
            raise StartupError(f"the store {self._url} cannot be used ({error})") from error

    async def close(self) -> None:
        """Connections are closed when nobody uses them any more."""

    async def put_file(self, key: str, path: Path) -> None:
        """See `ObjectStore`; the file is sent in parts, and stays.

        Up to one part the server itself sees to it that nothing is overwritten. A larger object is
        looked for before it is sent: keys hold the attempt, and of that there is one writer.
        """
        size = (await anyio.to_thread.run_sync(path.stat)).st_size
        options: dict[str, Any] = {"mode": "create"}
        if size > _PART_BYTES:
            options = {"chunk_size": _PART_BYTES, "max_concurrency": _PARTS_AT_ONCE}
            if await self._exists(key):
                raise FileExistsError(key)
        name = key.rpartition("/")[2]
        attributes = {
            "Content-Type": guess_type(name)[0] or "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        with _plain_errors(key):
            await obstore.put_async(self._store, key, path, attributes=attributes, **options)

    async def fetch(self, key: str, path: Path) -> None:
        """See `ObjectStore`; the content is copied."""
        with _plain_errors(key):
            found: Any = await obstore.get_async(self._store, key)
            file = await anyio.to_thread.run_sync(path.open, "xb")
            try:
                async for piece in found.stream(_PIECE_BYTES):
                    await anyio.to_thread.run_sync(file.write, piece)
            finally:
                await anyio.to_thread.run_sync(file.close)

    async def open_object(self, key: str) -> StoredObject | None:
        """See `ObjectStore`; the answer has begun, so a deletion does it no harm."""
        try:
            with _plain_errors(key):
                return _Answer(key, await obstore.get_async(self._store, key))
        except FileNotFoundError:
            return None

    async def link(self, key: str, seconds: int) -> str | None:
        """See `ObjectStore`; made here, without asking the server."""
        with _plain_errors(key):
            url: str = await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))
        return url

    async def keys(self, prefix: str) -> list[str]:
        """See `ObjectStore`."""
        found: list[str] = []
        with _plain_errors(prefix):
            stream: Any = obstore.list(self._store, prefix, chunk_size=1000)
            async for part in stream:
                found += [one["path"] for one in part]
        return found

    async def delete_prefix(self, prefix: str) -> None:
        """See `ObjectStore`."""
        keys = await self.keys(prefix)
        if keys:
            with _plain_errors(prefix):
                await obstore.delete_async(self._store, keys)

    async def _exists(self, key: str) -> bool:
        try:
            with _plain_errors(key):
                await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return False
        return True


class _Answer:
    """An object whose content is arriving."""

    descriptor: int | None = None

    def __init__(self, key: str, answer: Any) -> None:
        self._key = key
        self._answer = answer
        self.size_bytes: int = answer.meta["size"]

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, in pieces."""
        with _plain_errors(self._key):
            async for piece in self._answer.stream(_PIECE_BYTES):
                yield bytes(piece)

    def close(self) -> None:
        """Let go of the answer, and with it of its connection."""
        self._answer = None


@contextmanager
def _plain_errors(key: str) -> Iterator[None]:
    """What the client raises, as the errors that files have."""
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError(key) from error
    except AlreadyExistsError as error:
        raise FileExistsError(key) from error
    except BaseError as error:
        raise OSError(errno.EIO, f"the store of objects failed on {key}: {error}") from error

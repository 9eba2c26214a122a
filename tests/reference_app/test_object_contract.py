"""What every store of objects promises; each test runs on every one of them."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from fixtures.servers.s3 import BUCKET, S3Server
from reference_app.errors import StartupError
from reference_app.storage.local import LocalObjectStore
from reference_app.storage.objects import MemoryObjectStore, ObjectStore

pytestmark = pytest.mark.anyio
LARGE = bytes(range(256)) * 4096


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def bucket(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store in a place of its own of the server's bucket."""
    from reference_app.storage.s3 import S3ObjectStore

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return S3ObjectStore(f"s3://{BUCKET}/{tmp_path.name}-{os.getpid()}")


@pytest.fixture(params=["memory", "local", "s3"])
async def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    made: ObjectStore
    if request.param == "s3":
        made = bucket(request.getfixturevalue("s3"), tmp_path, monkeypatch)
    elif request.param == "memory":
        made = MemoryObjectStore()
    else:
        made = LocalObjectStore(tmp_path / "objects")
    await made.open()
    return made


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


async def put(objects: ObjectStore, scratch: Path, key: str, content: bytes = b"content") -> None:
    (scratch / "put").write_bytes(content)
    await objects.put_file(key, scratch / "put")


async def content(objects: ObjectStore, key: str) -> bytes | None:
    found = await objects.open_object(key)
    if found is None:
        return None
    try:
        return b"".join([piece async for piece in found.pieces()])
    finally:
        found.close()
        found.close()


async def test_what_was_put_can_be_read_and_fetched(objects: ObjectStore, scratch: Path) -> None:
    await put(objects, scratch, "jobs/a/0/source", LARGE)
    assert await content(objects, "jobs/a/0/source") == LARGE
    await objects.fetch("jobs/a/0/source", scratch / "fetched")
    assert (scratch / "fetched").read_bytes() == LARGE
    found = await objects.open_object("jobs/a/0/source")
    assert found is not None
    assert found.size_bytes == len(LARGE)
    found.close()


async def test_an_object_is_never_overwritten(objects: ObjectStore, scratch: Path) -> None:
    await put(objects, scratch, "jobs/a/1/x", b"first")
    with pytest.raises(FileExistsError):
        await put(objects, scratch, "jobs/a/1/x", b"second")
    assert await content(objects, "jobs/a/1/x") == b"first"


async def test_what_is_not_there_is_said(objects: ObjectStore, scratch: Path) -> None:
    assert await content(objects, "jobs/a/1/x") is None
    with pytest.raises(FileNotFoundError):
        await objects.fetch("jobs/a/1/x", scratch / "fetched")
    await objects.delete_prefix("jobs/a/")
    assert await objects.keys("jobs/") == []


async def test_a_fetched_file_outlives_its_object(objects: ObjectStore, scratch: Path) -> None:
    await put(objects, scratch, "jobs/a/0/source")
    await objects.fetch("jobs/a/0/source", scratch / "fetched")
    await objects.delete_prefix("jobs/a/")
    assert (scratch / "fetched").read_bytes() == b"content"


async def test_deleting_the_fetched_file_leaves_the_object(
    objects: ObjectStore, scratch: Path
) -> None:
    await put(objects, scratch, "jobs/a/0/source")
    await objects.fetch("jobs/a/0/source", scratch / "fetched")
    (scratch / "fetched").unlink()
    assert await content(objects, "jobs/a/0/source") == b"content"


async def test_an_open_object_is_read_to_its_end_after_it_was_deleted(
    objects: ObjectStore, scratch: Path
) -> None:
    await put(objects, scratch, "jobs/a/1/x", LARGE)
    found = await objects.open_object("jobs/a/1/x")
    assert found is not None
    pieces = found.pieces()
    first = await anext(pieces)
    await objects.delete_prefix("jobs/a/1/")
    assert first + b"".join([piece async for piece in pieces]) == LARGE
    found.close()


async def test_a_prefix_is_deleted_and_nothing_else(objects: ObjectStore, scratch: Path) -> None:
    for key in ("jobs/a/0/source", "jobs/a/1/x", "jobs/a/1/y", "jobs/aa/1/x"):
        await put(objects, scratch, key)
    await objects.delete_prefix("jobs/a/1/")
    assert sorted(await objects.keys("jobs/")) == ["jobs/a/0/source", "jobs/aa/1/x"]
    await objects.delete_prefix("jobs/a/")
    assert await objects.keys("jobs/") == ["jobs/aa/1/x"]
    assert await objects.keys("jobs/a/") == []


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_large_object_is_never_overwritten_either(
    objects: ObjectStore, scratch: Path, parts: int
) -> None:
    """Five mebibytes are the part of an upload; what is larger is sent in another way."""
    size = parts * 5 * 1024 * 1024 - (parts == 1)
    await put(objects, scratch, "jobs/a/1/x", b"a" * size)
    with pytest.raises(FileExistsError):
        await put(objects, scratch, "jobs/a/1/x", b"b" * size)
    assert await content(objects, "jobs/a/1/x") == b"a" * size


# -- what only a store on another machine can promise


@pytest.fixture
async def remote(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    return bucket(s3, tmp_path, monkeypatch)


async def test_a_link_is_good_for_its_object_until_it_expires(
    remote: ObjectStore, scratch: Path
) -> None:
    await put(remote, scratch, "jobs/a/1/video.mp4", b"film")
    await put(remote, scratch, "jobs/a/1/other.mp4", b"other")
    link = await remote.link("jobs/a/1/video.mp4", 300)
    short = await remote.link("jobs/a/1/video.mp4", 1)
    assert link is not None
    assert short is not None
    async with httpx.AsyncClient() as client:
        answer = await client.get(link)
        assert (answer.status_code, answer.content) == (200, b"film")
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"] == 'attachment; filename="video.mp4"'
        part = await client.get(link, headers={"Range": "bytes=1-2"})
        assert (part.status_code, part.content) == (206, b"il")
        forged = await client.get(link.replace("video.mp4", "other.mp4"))
        assert forged.status_code == 403
        deadline = time.monotonic() + 30
        while (await client.get(short)).status_code != 403:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


async def test_a_server_that_is_not_there_is_said_at_the_start_and_at_every_call(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reference_app.storage import s3 as module

    monkeypatch.setitem(module._RETRIES, "max_retries", 1)
    monkeypatch.setitem(module._RETRIES, "retry_timeout", timedelta(seconds=1))
    gone = replace(s3, endpoint="http://127.0.0.1:9")
    away = bucket(gone, tmp_path, monkeypatch)
    with pytest.raises(StartupError, match=BUCKET):
        await away.open()
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        away.put_file("jobs/a/0/source", tmp_path / "file"),
        away.fetch("jobs/a/0/source", tmp_path / "other"),
        away.open_object("jobs/a/0/source"),
        away.keys("jobs/"),
        away.delete_prefix("jobs/a/"),
    ):
        with pytest.raises(OSError, match="store of objects failed"):
            await call


async def test_memory_for_an_upload_is_bounded_by_its_parts(
    remote: ObjectStore, scratch: Path
) -> None:
    """In a process of its own: memory that was used before would hide what is needed."""
    path = scratch / "large"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    program = """if True:
        import asyncio, os, resource, sys
        from pathlib import Path
        from reference_app.storage.s3 import S3ObjectStore

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        async def main(url, path):
            store = S3ObjectStore(url)
            await store.open()
            before = peak()
            await store.put_file("jobs/a/0/source", Path(path))
            await store.fetch("jobs/a/0/source", Path(path + ".fetched"))
            print(before, peak() - before)

        asyncio.run(main(*sys.argv[1:]))
    """
    url = f"s3://{BUCKET}/memory-{scratch.parent.name}-{os.getpid()}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, url, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (scratch / "large.fetched").stat().st_size == path.stat().st_size
    assert int(done.stdout.split()[1]) < 40, done.stdout


# -- what only local files can promise


@pytest.mark.parametrize("key", ["../x", "jobs/../../x", "/etc/passwd", "jobs//x", "", "jobs/.x"])
async def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    local = LocalObjectStore(tmp_path / "objects")
    await local.open()
    with pytest.raises(ValueError, match="not a key"):
        await local.open_object(key)


async def test_a_deleted_job_leaves_no_folder(tmp_path: Path, scratch: Path) -> None:
    local = LocalObjectStore(tmp_path / "objects")
    await local.open()
    await put(local, scratch, "jobs/a/1/x")
    await local.delete_prefix("jobs/a/1/")
    assert list((tmp_path / "objects" / "jobs").iterdir()) == []
    (tmp_path / "objects" / "jobs" / "b" / "1").mkdir(parents=True)
    await local.open()
    assert list((tmp_path / "objects").iterdir()) == []


async def test_where_a_file_cannot_have_two_names_it_is_copied(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no second names here")

    local = LocalObjectStore(tmp_path / "objects")
    await local.open()
    await put(local, scratch, "jobs/a/0/source")
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    await local.fetch("jobs/a/0/source", scratch / "fetched")
    assert (scratch / "fetched").read_bytes() == b"content"

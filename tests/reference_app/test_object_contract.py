"""What every store of objects promises; each test runs on every one of them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from reference_app.storage.local import LocalObjectStore
from reference_app.storage.objects import MemoryObjectStore, ObjectStore

pytestmark = pytest.mark.anyio
LARGE = bytes(range(256)) * 4096


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "local"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    made: ObjectStore = (
        MemoryObjectStore() if request.param == "memory" else LocalObjectStore(tmp_path / "objects")
    )
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

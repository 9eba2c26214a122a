"""Uploads: what is taken, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from reference_app.errors import TooLarge, Unreadable
from reference_app.http.multipart import FileField
from reference_app.http.upload import SOURCE_NAME, Body, save
from reference_app.settings import MIB, MULTIPART_ALLOWANCE_BYTES
from tests.reference_app.conftest import Running, settings_for
from tests.reference_app.raw_upload import (
    BOUNDARY,
    HEAD,
    connect,
    nothing_left,
    read_all,
    request_head,
)
from tests.reference_app.stand_in_engine import clip


def test_an_upload_becomes_a_job(service: Running) -> None:
    answer = service.upload()
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/status/{job['job_id']}"
    assert job["status"] == "pending"
    done = service.wait(job["job_id"])
    assert (done["status"], done["progress"], done["error"]) == ("completed", 1.0, None)


def test_a_file_of_exactly_the_limit_is_taken(service: Running) -> None:
    answer = service.upload(clip(size=30 * MIB))
    assert answer.status_code == 202
    assert answer.json()["size_bytes"] == 30 * MIB
    service.wait(answer.json()["job_id"], "completed")


def test_one_byte_more_is_too_large_and_leaves_nothing(service: Running) -> None:
    answer = service.upload(clip(size=30 * MIB + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["max_bytes"] == 30 * MIB
    assert nothing_left(service)
    assert len(service.records()) == 0


def test_a_declared_60_mib_body_is_refused_unread(service: Running) -> None:
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: %d" % (60 * MIB)))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer.lower()
    assert nothing_left(service)


def test_a_client_that_sends_60_mib_anyway_is_cut_off_and_gets_its_answer(
    service: Running,
) -> None:
    sent = 0
    with connect(service) as connection:
        connection.sendall(request_head(b"Content-Length: %d" % (60 * MIB)) + HEAD)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(60):
                sent += connection.send(bytes(MIB))
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    # What fits into the two sockets' buffers, and no more.
    assert sent < 10 * MIB


def test_an_expected_continue_is_not_given_for_a_body_that_is_too_large(service: Running) -> None:
    with connect(service) as connection:
        connection.sendall(
            request_head(b"Content-Length: %d" % (60 * MIB), b"Expect: 100-continue")
        )
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_cut_off_at_the_limit_and_the_allowance(service: Running) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield HEAD + clip()
        while sent < 60 * MIB:
            sent += 65536
            yield bytes(65536)

    answer = service.http.post(
        "/api/upload",
        content=body(),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"},
    )
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    # The rest was under way in the sockets' buffers.
    assert sent < 30 * MIB + MULTIPART_ALLOWANCE_BYTES + 10 * MIB
    assert nothing_left(service)


def test_no_more_than_the_limit_and_the_allowance_is_kept_or_read(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "spool", max_upload_mb=1)
    read = 0

    async def receive() -> Message:
        nonlocal read
        piece = HEAD if read == 0 else bytes(10_000)
        read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def upload() -> None:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        await save(Body(request, settings), BOUNDARY, tmp_path, settings)

    with pytest.raises(TooLarge) as refusal:
        asyncio.run(upload())
    assert refusal.value.close
    assert MIB < read <= MIB + MULTIPART_ALLOWANCE_BYTES + 10_000
    assert (tmp_path / SOURCE_NAME).stat().st_size <= MIB


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.txt", "text/plain"), ("a.txt", "video/mp4"), ("a.mp4", "image/png"), ("a", "")],
)
def test_what_does_not_call_itself_a_video_is_of_the_wrong_type(
    service: Running, name: str, kind: str
) -> None:
    answer = service.upload(clip(), name, kind)
    assert answer.status_code == 415
    assert nothing_left(service)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("VID_0001.3gp", "video/3gpp"),
        ("recording.ts", "video/mp2t"),
        ("recording.ts", "text/vnd.trolltech.linguist"),
        ("clip.m4v", "video/x-m4v"),
        ("clip.part", "video/mp4"),
        ("clip", "application/mp4"),
    ],
)
def test_what_calls_itself_a_video_is_judged_by_its_content(
    service: Running, name: str, kind: str
) -> None:
    assert service.upload(clip(), name, kind).status_code == 202
    assert service.upload(bytes(5000), name, kind).status_code == 422


def test_a_transport_stream_begins_like_a_video(service: Running) -> None:
    packets = b"".join(b"\x47" + bytes(187) for _ in range(4))
    stamped = b"".join(bytes(4) + b"\x47" + bytes(187) for _ in range(4))
    assert service.upload(packets, "a.ts").status_code == 202
    assert service.upload(stamped, "a.m2ts", "video/mp2t").status_code == 202
    assert service.upload(b"\x47" + bytes(800), "a.ts").status_code == 422


def test_a_name_that_comes_in_its_extended_form_alone_is_read(service: Running) -> None:
    head = b"""--b\r
Content-Disposition: form-data; name="file"; filename*=UTF-8''na%C3%AFve%20walk.mp4\r
Content-Type: video/mp4\r
\r
"""
    answer = service.http.post(
        "/api/upload",
        content=head + clip() + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["filename"] == "naïve walk.mp4"


def test_an_image_that_calls_itself_a_video_is_of_the_wrong_type(service: Running) -> None:
    assert service.upload(b"\x89PNG\r\n\x1a\n" + bytes(5000)).status_code == 415
    assert nothing_left(service)


def test_a_body_that_is_no_form_is_of_the_wrong_type(service: Running) -> None:
    answer = service.http.post("/api/upload", json={"file": "a.mp4"})
    assert answer.status_code == 415
    assert service.http.post("/api/upload").status_code == 415


@pytest.mark.parametrize(
    "content",
    [b"", b"tiny", b"only text, whatever it is called" * 99, clip()[:12] + bytes(range(256)) * 40],
    ids=["empty", "tiny", "text", "magic and garbage"],
)
def test_what_cannot_be_a_video_is_unreadable(service: Running, content: bytes) -> None:
    answer = service.upload(content)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert nothing_left(service)


def test_a_form_without_the_file_is_unreadable(service: Running) -> None:
    assert service.http.post("/api/upload", files={"other": ("a.mp4", clip())}).status_code == 422
    text = service.http.post("/api/upload", files={"x": (None, "1"), "file": (None, "text")})
    assert text.status_code == 422
    assert nothing_left(service)


@pytest.mark.parametrize(
    "beside",
    [
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1000,
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + bytes(70_000) + b"\r\n",
        b"--b\r\nX: " + b"y" * 70_000 + b"\r\n\r\n\r\n",
    ],
    ids=["fields", "a large field", "a large header"],
)
def test_what_comes_beside_the_file_is_bounded(service: Running, beside: bytes) -> None:
    content = beside + HEAD.replace(BOUNDARY, b"b") + clip() + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = service.http.post("/api/upload", content=content, headers=headers)
    assert answer.status_code == 422
    # The parser has a limit of its own for headers.
    assert re.search("beside the file|header size", answer.json()["detail"])
    assert nothing_left(service)


def test_a_flood_of_fields_is_not_parsed_to_its_end() -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    parsed = 0

    class Counting(FileField):
        def _begin_part(self) -> None:
            nonlocal parsed
            parsed += 1
            super()._begin_part()

    form = Counting(b"b", lambda name, kind: None, MULTIPART_ALLOWANCE_BYTES)
    with pytest.raises(Unreadable, match="beside the file"):
        form.feed(field * 100_000)
    assert parsed < 1000


def test_two_files_in_one_form_are_refused(service: Running) -> None:
    part = ("a.mp4", clip(), "video/mp4")
    assert service.http.post("/api/upload", files=[("file", part)] * 2).status_code == 422
    assert nothing_left(service)


def test_a_folder_that_is_gone_is_reported_and_seen_by_readiness(service: Running) -> None:
    assert service.http.get("/ready").json() == {"status": "ready"}
    shutil.rmtree(service.container.instance.root / "scratch")
    refused = service.upload()
    assert (refused.status_code, refused.json()["reason"]) == (503, "storage")
    ready = service.http.get("/ready")
    assert ready.status_code == 503
    assert "storage" in ready.json()["detail"]
    assert service.http.get("/health").status_code == 200
    (service.container.instance.root / "scratch").mkdir()
    assert service.http.get("/ready").status_code == 200
    assert service.upload().status_code == 202


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("..\\..\\boot.mp4", "boot.mp4"),
        ("/absolute.mp4", "absolute.mp4"),
        ("line\nbreak\x00\x1b.mp4", None),
        ("x" * 5000 + ".mp4", None),
        ("😀 vidéo.mp4", "😀 vidéo.mp4"),
    ],
)
def test_a_hostile_name_is_only_ever_shown(service: Running, name: str, shown: str | None) -> None:
    answer = service.upload(clip(), name)
    assert answer.status_code in (202, 415, 422)
    if shown is not None:
        assert answer.json()["filename"] == shown
    if answer.status_code == 202:
        assert answer.json()["filename"].isprintable()
        service.wait(answer.json()["job_id"], "completed")
    everything = {path.name for path in service.spool.parent.rglob("*")}
    assert not any("passwd" in item or "boot" in item for item in everything)


def test_a_disk_that_is_full_is_said_and_leaves_nothing(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_job_id: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service.container.scratch, "create", full)
    answer = service.upload()
    assert answer.status_code == 507
    assert nothing_left(service)

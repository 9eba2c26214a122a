"""What is not a usable video is refused with a reason; what is merely odd is processed."""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fixtures import boxes
from fixtures.clips import clip
from fixtures.hostile import HOSTILE, MIB

pytest.importorskip("mediapipe")

import av
import numpy as np
import psutil

from reference_app.pipeline import Summary, Task, UnreadableVideo, process
from reference_app.pipeline.libraries import load
from reference_app.pipeline.parameter_sets import has_forbidden_bytes
from reference_app.pipeline.probe import MIN_SIDE, output_size, probe
from tests.reference_app.conftest import settled

#: A job's share of 512 MiB.
JOB_BYTES = 188 * MIB
MAX_PIXELS = Task(Path(), Path()).max_pixels


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Task]:
    """A job for `video.mp4`; afterwards as many handles are open as before."""
    load()
    folder = tmp_path / "job"
    folder.mkdir()
    before = settled(psutil.Process().num_fds)
    yield Task(tmp_path / "upload.mp4", folder, memory_bytes=JOB_BYTES)
    assert psutil.Process().num_fds() <= before


@pytest.mark.parametrize("name", [n for n in HOSTILE if not n.startswith("name-")])
def test_a_hostile_file_is_processed_or_refused_with_a_reason(job: Task, name: str) -> None:
    recipe = HOSTILE[name]
    job.source.write_bytes(recipe.make())
    summary, reason = outcome(job)
    if summary is None:
        assert recipe.ends != {"completed"}
        assert len(reason) > 20, "the reason says nothing"
        assert str(job.folder) not in reason
        assert re.search(recipe.reason, reason)
        assert list(job.folder.iterdir()) == []
    else:
        assert recipe.ends != {"failed"}
        assert summary.frames > 0
        assert summary.duration_seconds <= job.max_duration_seconds


def outcome(job: Task) -> tuple[Summary | None, str]:
    """The summary, or why there is none."""
    try:
        return process(job), ""
    except UnreadableVideo as refusal:
        return None, refusal.reason


@pytest.mark.parametrize(
    "playlist",
    ["ffconcat version 1.0\nfile other.mp4\n", "#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"],
)
def test_a_playlist_in_disguise_is_not_followed(job: Task, playlist: str) -> None:
    shutil.copy(clip(width=320, height=240, seconds=0.3).path, job.source.with_name("other.mp4"))
    job.source.write_text(playlist)
    with pytest.raises(UnreadableVideo, match="not a readable"):
        process(job)


def test_a_name_that_looks_like_an_address_is_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "http:" / "pipe:0.mp4"
    path.parent.mkdir()
    shutil.copy(clip(width=320, height=240, seconds=0.3).path, path)
    assert probe(path, max_pixels=MAX_PIXELS).packets == 9


def write_video(
    path: Path, times: list[int], *, size: tuple[int, int] = (320, 240), ticks: int = 100
) -> None:
    """A grey video with these time stamps, so many of which are a second."""
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        for time in times:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_the_limit_holds_for_frames_that_are_far_apart(job: Task) -> None:
    write_video(job.source, [0, 300, 900, 1100, 360_000])
    summary = process(job)
    assert (summary.frames, summary.trimmed) == (3, True)
    assert summary.original_duration_seconds >= 3600


def test_of_a_flood_of_frames_120_a_second_are_shown(job: Task) -> None:
    write_video(job.source, list(range(100)), size=(64, 64), ticks=1000)
    summary = process(dataclasses.replace(job, max_duration_seconds=0.1))
    assert (summary.frames, summary.trimmed) == (12, False)
    assert "88 pictures that came faster than 120 a second were left out." in summary.notes


def test_the_limit_holds_for_a_flood_of_frames(job: Task) -> None:
    write_video(job.source, list(range(200)), size=(64, 64), ticks=10_000)
    summary = process(dataclasses.replace(job, max_duration_seconds=0.1))
    # A thousand pictures are decoded for each second of the limit.
    assert (summary.frames, summary.trimmed) == (2, True)
    assert any("Only the first 0.0" in note for note in summary.notes)


def test_240_frames_a_second_are_processed_to_the_end(job: Task) -> None:
    write_video(job.source, list(range(0, 240)), size=(64, 64), ticks=240)
    summary = process(job)
    assert (summary.frames, summary.trimmed) == (120, False)
    assert summary.duration_seconds == pytest.approx(1.0, abs=0.02)


def test_varying_rates_keep_their_times(job: Task) -> None:
    times = [0, 3, 6, 50, 53, 120]
    write_video(job.source, times)
    summary = process(job)
    with av.open(str(job.folder / summary.files["video"])) as video:
        seen = [float(frame.time) for frame in video.decode(video=0)]
    assert seen == pytest.approx([time / 100 for time in times], abs=0.001)


def test_a_video_without_anybody_says_so(job: Task) -> None:
    write_video(job.source, [0, 3, 6])
    summary = process(job)
    assert (summary.detected, summary.mean_visibility) == (0, 0.0)
    assert summary.notes == ("Nobody was found in the video.",)
    assert (job.folder / summary.files["csv"]).read_text().count("\n") == 1


def damage(data: bytes, at: float, length: int) -> bytes:
    """The video with this many bytes changed at a share of its picture data."""
    media = next(box for box in boxes.boxes(data) if box.kind == b"mdat")
    start = media.body + int((media.end - media.body) * at)
    noise = random.Random(5).randbytes(length)
    return data[:start] + noise + data[start + length :]


def rows(job: Task, summary: Summary) -> list[dict[str, str]]:
    with (job.folder / summary.files["csv"]).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("at", [0.2, 0.3, 0.45, 0.5, 0.6, 0.65])
def test_damaged_pictures_are_counted_and_their_landmarks_marked(job: Task, at: float) -> None:
    data = clip(width=640, height=480, seconds=2.0).path.read_bytes()
    job.source.write_bytes(damage(data, at, 300))
    summary = process(job)
    assert summary.damaged_packets > 0
    assert any("may be wrong" in note for note in summary.notes)
    marked = {int(row["frame"]) for row in rows(job, summary) if row["damaged"] == "1"}
    right, wrong = pictures_of(data), pictures_of(job.source.read_bytes())
    differing = {n for n in right if n % 3 == 0 and differs(right[n], wrong.get(n))}
    assert differing
    assert differing <= marked


def pictures_of(data: bytes) -> dict[int, Any]:
    """The brightness of every picture that can be decoded, by its place."""
    found = {}
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                for frame in packet.decode():
                    assert frame.time is not None
                    found[round(frame.time * 30)] = frame.to_ndarray(format="gray").astype(int)
    return found


def differs(right: Any, wrong: Any) -> bool:
    return wrong is not None and float(np.abs(right - wrong).mean()) > 1


@pytest.mark.parametrize("at", [0.51, 0.65])
def test_a_run_of_zeros_does_not_pass_for_picture_data(job: Task, at: float) -> None:
    data = clip(width=640, height=480, seconds=2.0).path.read_bytes()
    media = next(box for box in boxes.boxes(data) if box.kind == b"mdat")
    start = media.body + int((media.end - media.body) * at)
    job.source.write_bytes(data[:start] + bytes(300) + data[start + 300 :])
    assert process(job).damaged_packets > 0
    assert {row["damaged"] for row in rows(job, process(job))} == {"0", "1"}


@pytest.mark.parametrize(
    ("data", "length_bytes", "forbidden"),
    [
        (b"\0\0\0\5\x65\1\2\3\4", 4, False),
        (b"\0\0\0\5\x65\0\0\1\4", 4, True),
        (b"\0\0\0\5\x65\0\0\3\1", 4, False),
        (b"\0\0\0\5\x65\0\0\3\4", 4, True),
        (b"\0\0\0\6\x65\1\0\0\3\0", 4, False),
        (b"\0\0\0\6\x65\1\0\0\0\0", 4, False),
        (b"\0\0\0\1\x65\0\0\1\x41\0\0\0\0\1\x41", 0, False),
        (b"\0\0\0\1\x65\0\0\0\0\x41", 0, True),
    ],
)
def test_bytes_that_no_encoder_writes_are_told_from_padding(
    data: bytes, length_bytes: int, forbidden: bool
) -> None:
    assert has_forbidden_bytes("h264", data, length_bytes) is forbidden
    assert not has_forbidden_bytes("vp9", data, length_bytes)


def test_a_whole_video_has_no_damaged_landmark(job: Task) -> None:
    job.source.write_bytes(clip(width=320, height=240, seconds=1.0).path.read_bytes())
    assert {row["damaged"] for row in rows(job, process(job))} == {"0"}


def test_pixels_that_are_not_square_become_so(job: Task) -> None:
    job.source.write_bytes(HOSTILE["anamorphic"].make())
    summary = process(job)
    # 240x240 pixels, each 4/3 as wide as high.
    assert (summary.width, summary.height) == (320, 240)
    assert summary.detection_rate >= 0.9


@pytest.mark.parametrize("size", [(32, 544), (1088, 64)])
def test_a_strip_is_refused(job: Task, size: tuple[int, int]) -> None:
    write_video(job.source, [0, 3], size=size)
    with pytest.raises(UnreadableVideo, match="strip"):
        process(job)


@pytest.mark.parametrize(("name", "kind"), [("clip.ts", "mpegts"), ("clip.3gp", "3gp")])
def test_what_phones_and_recorders_write_is_processed(job: Task, name: str, kind: str) -> None:
    source = clip(width=320, height=240, seconds=0.5).path
    with av.open(str(source)) as read, av.open(str(job.source), "w", format=kind) as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                write.mux(packet)
    assert process(job).frames == 15


def test_a_damaged_video_is_refused_when_most_of_it_is_gone(job: Task) -> None:
    data = bytearray(clip(width=320, height=240, seconds=1.0).path.read_bytes())
    start = data.index(b"mdat") + 8
    end = max(start, len(data) - 4096) if data.index(b"moov") > start else len(data)
    data[start:end] = bytes(end - start)
    job.source.write_bytes(bytes(data))
    with pytest.raises(UnreadableVideo, match="damaged"):
        process(job)


def test_a_sideways_video_comes_out_upright(job: Task) -> None:
    job.source.write_bytes(HOSTILE["rotated"].make())
    summary = process(job)
    assert summary.height > summary.width
    assert summary.detection_rate >= 0.9
    with av.open(str(job.folder / summary.files["video"])) as video:
        assert next(video.decode(video=0)).rotation == 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (720, 404)),
        ((1080, 1920), (720, 1280)),
        ((321, 241), (320, 240)),
        ((720, 404), (720, 404)),
        ((32, 2000), (20, 1280)),
        ((2000, 32), (720, 12)),
    ],
)
def test_sizes_are_even_and_within_the_limits(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert output_size(*size, 720) == expected


def test_a_picture_below_the_smallest_side_is_refused(job: Task) -> None:
    write_video(job.source, [0, 3], size=(MIN_SIDE - 2, 64))
    with pytest.raises(UnreadableVideo, match="too small"):
        process(job)

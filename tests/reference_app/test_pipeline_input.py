"""What is not a usable video is refused with a reason; what is merely odd is processed."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from fixtures.clips import clip
from fixtures.hostile import HOSTILE, MIB

pytest.importorskip("mediapipe")

import av
import numpy as np
import psutil

from reference_app.pipeline import Summary, Task, UnreadableVideo, process
from reference_app.pipeline.libraries import load
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


def test_the_limit_holds_for_a_flood_of_frames(job: Task) -> None:
    write_video(job.source, list(range(100)), size=(64, 64), ticks=1000)
    summary = process(dataclasses.replace(job, max_duration_seconds=0.1))
    # A hundred pictures have their times within the limit; 120 a second are let through.
    assert (summary.frames, summary.trimmed) == (12, True)


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

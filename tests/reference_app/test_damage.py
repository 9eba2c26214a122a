"""Damage in the pictures of a video is detected, or the result says that it may not be.

`python -m benchmarks damage` counts what passes all the same.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("mediapipe")

import av

from benchmarks.damage import outcome, read
from fixtures.damage import coded, damaged
from reference_app.pipeline import Summary, Task, process, vp9
from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.media_index import checked_clusters
from reference_app.pipeline.probe import probe
from reference_app.pipeline.task import MAX_PIXELS
from reference_app.pipeline.vp9 import CheckedVp9, Vp9Picture, vp9_pictures

GROUP = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clip.bin"


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("h264", 2),
        ("h264 in groups", 3),
        # What FFmpeg's own decoder of VP9 shows without a word.
        ("vp9", 0),
        ("vp9", 3),
        ("vp9", 7),
        ("av1", 5),
        # Its damaged header calls a picture a key frame.
        ("av1", 7),
        ("mpeg4", 1),
        ("hevc with picture hashes", 2),
        ("hevc with picture hashes", 3),
        ("vp8 in Matroska", 0),
        ("vp8 in Matroska", 5),
    ],
)
def test_wrong_pictures_are_detected_and_marked(name: str, seed: int, path: Path) -> None:
    path.write_bytes(coded(name))
    right = read(path)
    assert (right.damaged, right.marked) == (0, set())
    damaged(coded(name), path, seed)
    assert outcome(path, right) == "detected"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vp8", "VP8 has no check for damaged pictures"),
        ("hevc", "HEVC has no check for damaged pictures"),
        ("vp9", "VP9 has no check for damaged pictures"),
        ("vp8 in Matroska", None),
        ("h264", None),
    ],
)
def test_a_codec_that_cannot_tell_damage_is_named_in_the_result(
    name: str, says: str | None, tmp_path: Path
) -> None:
    task = Task(tmp_path / "clip.bin", tmp_path / "out", frame_interval=30)
    task.folder.mkdir()
    task.source.write_bytes(coded(name))
    summary = process(task)
    assert summary.damaged_packets == 0
    assert marks(task, summary) == {"0"}
    if says is None:
        assert summary.notes == ()
    else:
        (note,) = summary.notes
        assert note.startswith(says)


def marks(task: Task, summary: Summary) -> set[str]:
    with (task.folder / summary.files["csv"]).open() as file:
        return {row["damaged"] for row in csv.DictReader(file)}


def packets_of(path: Path) -> list[tuple[int, int, bool]]:
    with av.open(str(path)) as container:
        return [(p.pos or 0, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("name", ["vp9 in groups", "h264 in groups"])
def test_all_pictures_from_the_fault_to_the_next_key_frame_are_shown_and_marked(
    name: str, path: Path
) -> None:
    data = bytearray(coded(name))
    path.write_bytes(data)
    start, size, key = packets_of(path)[GROUP]
    assert key
    # Zeros in the middle of a key frame: it is itself a damaged picture.
    middle = start + size // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    reading = read(path)
    assert reading.damaged > 0
    assert len(reading.pictures) == 60
    marked = {round(time * 30) for time in reading.marked}
    assert set(range(GROUP, 2 * GROUP)) <= marked
    assert not marked & set(range(2 * GROUP, 60))


def test_a_damaged_cluster_counts_once_and_is_marked_to_its_end(path: Path) -> None:
    damaged(coded("vp8 in Matroska"), path, 5)
    (cluster,) = checked_clusters(path).damaged
    reading = read(path)
    assert reading.damaged == 1
    assert len(reading.marked) == sum(
        cluster[0] <= at < cluster[1] for at, _, _ in packets_of(path)
    )


def test_files_without_checksums_are_not_called_checked(path: Path) -> None:
    for name in ("vp8", "vp9"):
        path.write_bytes(coded(name))
        assert not checked_clusters(path).checked
    path.write_bytes(coded("vp8 in Matroska"))
    assert checked_clusters(path).checked


def test_the_headers_of_vp9_tell_key_frames_and_sizes(path: Path) -> None:
    path.write_bytes(coded("vp9 in groups"))
    with av.open(str(path)) as container:
        found = [vp9_pictures(p) for p in container.demux(video=0) if p.size]
    assert all(found)
    keys = [number for number, pictures in enumerate(found) if any(p.key for p in pictures)]
    assert keys == [0, 20, 40]
    assert found[0] == [Vp9Picture(key=True, size=(640, 480))]
    assert found[1] == [Vp9Picture(key=False, size=None)]


def key_frame(width: int, height: int) -> bytes:
    """The header of a VP9 key frame of profile 0."""
    bits = "10000010" + f"{0x498342:024b}" + "0010"
    bits += f"{width - 1:016b}{height - 1:016b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_each_picture_of_a_vp9_packet_of_many_is_seen() -> None:
    frames = [key_frame(640, 480), key_frame(16000, 9000)]
    index = bytes([0xC1, *(len(frame) for frame in frames), 0xC1])
    packet = b"".join(frames) + index
    assert [picture.size for picture in vp9_pictures(packet)] == [(640, 480), (16000, 9000)]
    assert vp9_pictures(b"") == vp9_pictures(b"\x80") == []


def test_a_larger_vp9_picture_never_reaches_a_decoder_that_would_take_its_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(coded("vp9 in groups"))
    path.write_bytes(data)
    start, _, _ = packets_of(path)[GROUP]
    large = key_frame(16000, 9000)
    assert data[start : start + 4] == large[:4]
    data[start : start + len(large)] = large
    path.write_bytes(data)
    given: list[Vp9Picture] = []
    libvpx = vp9._libvpx()
    assert libvpx is not None

    class Watched:
        def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
            given.extend(vp9_pictures(packet) if packet else [])
            return libvpx.decode(packet)

    monkeypatch.setattr(vp9, "_libvpx", Watched)
    reading = read(path)
    assert {picture.size for picture in given if picture.key} == {(640, 480)}
    assert reading.damaged > 0
    assert 0 < len(reading.pictures) < 60


def test_faults_in_every_group_are_not_all_read_again(path: Path) -> None:
    path.write_bytes(coded("vp9 in groups"))
    opened = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]

        def open_again() -> tuple[av.container.InputContainer, av.VideoStream]:
            again = av.open(str(path))
            opened.append(again)
            return again, again.streams.video[0]

        reader = CheckedVp9(stream, open_again, max_pixels=MAX_PIXELS, packets=10)
        for packet in container.demux(stream):
            if packet.size and packet.is_keyframe:
                for _ in range(10):
                    reader.decode(packet)
                    reader.patch(packet)
        reader.close()
    # 40 packets may be read again: those before the first ten pictures, once each, are 45.
    assert 1 < len(opened) <= 10


def test_a_vp9_video_that_is_turned_comes_out_upright(path: Path) -> None:
    upright = coded("vp9")
    path.write_bytes(upright)
    turned = path.with_suffix(".mp4")
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        copy.set_display_rotation(90)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    clip = probe(turned, max_pixels=MAX_PIXELS)
    with FrameReader(clip, width=720, max_pixels=MAX_PIXELS, max_duration_seconds=10) as reader:
        first = next(iter(reader))
    assert first.pixels.shape == (640 * 3 // 2, 480)

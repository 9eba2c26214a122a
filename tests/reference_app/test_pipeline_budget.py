"""A job takes no more memory than it was given, and says so in words with both figures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import boxes
from fixtures.clips import clip
from fixtures.hostile import HOSTILE
from reference_app.pipeline.budget import MIB
from reference_app.pipeline.errors import JobFailed, UnreadableVideo
from reference_app.pipeline.media_index import index_bytes
from reference_app.pipeline.parameter_sets import reference_frames
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.workers.process import ProcessWorker

pytest.importorskip("mediapipe")

import av
import numpy as np

from reference_app.pipeline import probe as probing
from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.factories import PipelineFactories
from reference_app.pipeline.libraries import has_solutions
from reference_app.pipeline.probe import probe
from reference_app.workers.child_main import pipeline_engine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

ROOT = Path(__file__).resolve().parents[2]
MAX_PIXELS = Task(Path(), Path()).max_pixels

ALLOCATE_UNTIL_REFUSED = """
import ctypes, sys
from reference_app.pipeline.budget import MIB, confine
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
confine(64 * MIB)
taken = 0
while taken < 256 and (block := libc.malloc(MIB)):
    libc.memset(block, 1, MIB)
    taken += 1
print(taken)
"""


def test_the_kernel_refuses_a_confined_process_more_than_it_was_given() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ALLOCATE_UNTIL_REFUSED],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    # What the process had taken before and not used comes on top.
    assert 56 <= int(ran.stdout) <= 66


def abort(task: Task, report: Callable[[Progress], None], cancelled: Callable[[], bool]) -> Summary:
    os.abort()


def decode_unchecked(
    task: Task, report: Callable[[Progress], None], cancelled: Callable[[], bool]
) -> Summary:
    """The pipeline in a process of its own, without the refusal before a picture is decoded."""
    probing.JOB_BASE_BYTES = 0
    return pipeline_engine(PipelineFactories())(task, report, cancelled)


@pytest.mark.anyio
async def test_a_decoder_that_meets_the_limit_in_mid_stream_is_reported_as_memory(
    tmp_path: Path,
) -> None:
    path = clip(width=1920, height=1080, seconds=1.0).path
    # The current detector takes less, so that the same clip meets a lower limit.
    mib = 136 if has_solutions() else 112
    task = Task(path, tmp_path, memory_bytes=mib * MIB)
    worker = ProcessWorker(decode_unchecked, task, niceness=0)
    with pytest.raises(JobFailed, match=rf"more than the {mib} MiB .* Do not send it again"):
        await worker.run(lambda _: None)


@pytest.mark.anyio
@pytest.mark.skipif(has_solutions(), reason="the detector of 0.10.21 takes more")
async def test_what_is_not_refused_before_fits_with_the_current_detector(tmp_path: Path) -> None:
    path = clip(width=1920, height=1080, seconds=1.0).path
    task = Task(path, tmp_path, memory_bytes=132 * MIB)
    worker = ProcessWorker(pipeline_engine(PipelineFactories()), task, niceness=0)
    assert (await worker.run(lambda _: None)).processed > 0


@pytest.mark.anyio
async def test_a_library_that_aborts_is_not_answered_with_send_it_again(tmp_path: Path) -> None:
    worker = ProcessWorker(abort, Task(tmp_path, tmp_path, memory_bytes=99 * MIB), niceness=0)
    with pytest.raises(JobFailed, match=r"SIGABRT.*99 MiB\. Do not send it again"):
        await worker.run(lambda _: None)


def peak_growth_while(action: Callable[[], object]) -> int:
    """How far this process's resident memory rose above what it was before."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _high_water()
    action()
    return _high_water() - before


def _high_water() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_picture_that_grows_in_mid_stream_is_skipped_before_it_takes_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(HOSTILE["grows-to-8000"].make())
    found = probe(path, max_pixels=MAX_PIXELS)
    seen, damaged = 0, 0

    def read() -> None:
        nonlocal seen, damaged
        with FrameReader(
            found, width=720, max_pixels=MAX_PIXELS, max_duration_seconds=10
        ) as reader:
            seen = sum(1 for _ in reader)
            damaged = reader.damaged

    assert peak_growth_while(read) < 64 * MIB
    assert (seen, damaged) == (9, 1)


@pytest.mark.parametrize(
    ("codec", "options", "expected"),
    [
        ("libx264", {"x264-params": "ref=1:bframes=0"}, 1),
        ("libx264", {"x264-params": "ref=5:bframes=0"}, 5),
        ("libx264", {"x264-params": "ref=16:bframes=0:cqm=jvt"}, 16),
        ("libx265", {"x265-params": "ref=4:bframes=4:log-level=none:pools=1"}, 5),
        ("libx264", {"profile": "baseline", "x264-params": "ref=3"}, 3),
    ],
)
def test_reference_frames_are_read_from_the_stream(
    tmp_path: Path, codec: str, options: dict[str, str], expected: int
) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(3):
            picture = np.zeros((96, 64), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert reference_frames(context.name, context.extradata) == expected


@given(st.sampled_from(["h264", "hevc", "vp9"]), st.binary(max_size=200))
def test_broken_parameters_tell_nothing_and_do_no_harm(codec: str, extradata: bytes) -> None:
    found = reference_frames(codec, extradata)
    assert found is None or found >= 0


def test_the_index_is_counted_as_its_tables_have_it(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(width=320, height=240, seconds=0.3).path.read_bytes())
    assert index_bytes(path) == 9 * 48
    path.write_bytes(HOSTILE["index-of-20-million"].make())
    assert index_bytes(path) == 20_000_000 * 48


def test_a_matroska_file_is_counted_by_what_is_kept_of_it(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    made = HOSTILE["grows-to-8000"].make()
    path.write_bytes(made)
    assert 0 < index_bytes(path) < len(made)


def test_more_boxes_than_any_recording_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    data = clip(width=320, height=240, seconds=0.3).path.read_bytes()
    brand = next(box for box in boxes.boxes(data) if box.kind == b"ftyp")
    path.write_bytes(data[: brand.end] + b"\0\0\0\x08free" * 100_001 + data[brand.end :])
    with pytest.raises(UnreadableVideo, match="more than 100000 boxes"):
        index_bytes(path)


@given(
    st.binary(min_size=1, max_size=300),
    st.sampled_from([b"", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3"]),
)
def test_the_index_of_rubbish_is_counted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("rubbish") / "clip"
    path.write_bytes(magic + rest)
    with suppress(UnreadableVideo):
        assert index_bytes(path) >= 0

"""One way of doing a job, in a fresh process: `python -m benchmarks.pipeline_variants NAME CLIP`.

Prints what it cost as JSON. The bare variants use the libraries directly, without any of the
service's code but the detector, so that they are a floor and not a copy.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from reference_app.memory.allocator import configure_memory
from reference_app.pipeline import Task, process
from reference_app.pipeline.draw import draw_skeleton, plan_skeleton
from reference_app.pipeline.encode import ENCODER_OPTIONS, VideoWriter
from reference_app.pipeline.frames import Frame, from_bgr
from reference_app.pipeline.libraries import load, load_mediapipe
from reference_app.pipeline.pose import PoseDetector

__all__ = ["VARIANTS"]

WIDTH = 720
INTERVAL = 3
MIB = 1024 * 1024


def scaled_frames(clip: Path) -> Iterator[Any]:
    """PyAV, one thread, scaled by one scaler."""
    import av
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        height = stream.codec_context.height * WIDTH // stream.codec_context.width // 2 * 2
        for picture in container.decode(stream):
            yield scaler.reformat(picture, WIDTH, height, "yuv420p", threads=1)


def decode_and_pose(clip: Path, _folder: Path) -> None:
    """Nothing but decoding, scaling and looking at every third frame."""
    import cv2

    with PoseDetector() as detector:
        for index, picture in enumerate(scaled_frames(clip)):
            if index % INTERVAL == 0:
                detector.detect(cv2.cvtColor(picture.to_ndarray(), cv2.COLOR_YUV2RGB_I420))


def decode_and_pose_opencv(clip: Path, _folder: Path) -> None:
    """The same with OpenCV's capture in the place of PyAV."""
    import cv2

    with PoseDetector() as detector:
        for index, picture in enumerate(captured(clip)):
            small = cv2.resize(picture, (WIDTH, picture.shape[0] * WIDTH // picture.shape[1]))
            if index % INTERVAL == 0:
                detector.detect(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))


def captured(clip: Path) -> Iterator[Any]:
    """Whole BGR pictures from OpenCV, one thread."""
    import cv2

    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        while True:
            got, picture = capture.read()
            if not got:
                return
            yield picture
    finally:
        capture.release()


def floor(clip: Path, folder: Path) -> None:
    """Decoding, scaling, looking, and one encoding: the same work bare."""
    import av
    import cv2

    with PoseDetector() as detector, av.open(str(folder / "out.mp4"), "w") as container:
        output: Any = None
        for index, picture in enumerate(scaled_frames(clip)):
            if index % INTERVAL == 0:
                detector.detect(cv2.cvtColor(picture.to_ndarray(), cv2.COLOR_YUV2RGB_I420))
            if output is None:
                output = container.add_stream("libx264", rate=30, options=dict(ENCODER_OPTIONS))
                output.width, output.height = picture.width, picture.height
                output.pix_fmt, output.codec_context.thread_count = "yuv420p", 1
            picture.pts, picture.time_base, picture.pict_type = index, Fraction(1, 30), 0
            container.mux(output.encode(picture))
        container.mux(output.encode(None))


def streaming(clip: Path, folder: Path) -> None:
    """The service's own way."""
    process(Task(clip, folder))


def batch(clip: Path, folder: Path) -> None:
    """The service's other way: thirty pictures at a time over the disk."""
    process(Task(clip, folder, frame_source="batch"))


def all_frames(clip: Path, folder: Path) -> None:
    """The old design: every frame to a full-size PNG first, then all of them again."""
    import cv2

    names = []
    for index, picture in enumerate(captured(clip)):
        names.append(folder / f"{index:06d}.png")
        cv2.imwrite(str(names[-1]), picture)
    with PoseDetector() as detector, VideoWriter(folder / "out.mp4", fps=30) as writer:
        pose = None
        for index, name in enumerate(names):
            whole = cv2.imread(str(name))
            assert whole is not None
            height = whole.shape[0] * WIDTH // whole.shape[1] // 2 * 2
            small: Any = cv2.resize(whole, (WIDTH, height))
            if index % INTERVAL == 0:
                pose = detector.detect(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
            pixels = from_bgr(small)
            if pose is not None:
                draw_skeleton(pixels, plan_skeleton(pose, WIDTH, height))
            writer.write(Frame(index, index / 30, pixels))
        writer.finish()


VARIANTS: dict[str, Callable[[Path, Path], None]] = {
    "decode+pose": decode_and_pose,
    "decode+pose (OpenCV)": decode_and_pose_opencv,
    "floor": floor,
    "streaming": streaming,
    "batch": batch,
    "all frames": all_frames,
}


def main(name: str, clip: str) -> None:
    """Run one variant and print its cost."""
    configure_memory()
    if name == "decode+pose (OpenCV)":
        # Without the libraries that it does not use: it is a bar, and must not be set too high.
        load_mediapipe()
        cv2_on_one_thread()
    else:
        load()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        VARIANTS[name](Path(clip), folder)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        disk = sum(path.stat().st_size for path in folder.rglob("*")) / MIB
    finally:
        shutil.rmtree(folder)
    cost = {"wall_s": wall, "cpu_s": cpu, "peak_mib": high_water_mib(), "left_mib": disk}
    print(json.dumps(cost))


def cv2_on_one_thread() -> None:
    """What `load` does to OpenCV."""
    import cv2

    cv2.setNumThreads(1)


def high_water_mib() -> float:
    """The most this program had resident, from the kernel; getrusage counts its parent too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The one pass over the frames: pose, table, drawing and encoding, one frame in memory at a time.

Every part is opened on a stack that the caller unwinds, so each is closed on every path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from reference_app.pipeline.budget import MemoryBudget
from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.draw import Drawing
from reference_app.pipeline.errors import UnreadableVideo
from reference_app.pipeline.factories import PipelineFactories
from reference_app.pipeline.frames import Frame, Image
from reference_app.pipeline.probe import Clip
from reference_app.pipeline.runtime import Reporter, stage
from reference_app.pipeline.skeleton import Pose, mean_visibility
from reference_app.pipeline.task import Task

__all__ = ["FILES", "FRAMES_SHARE", "FrameLoop", "FrameStats"]

#: Where each result is, in the job's folder.
FILES = {
    "video": "video.mp4",
    "csv": "landmarks.csv",
    "thumbnail": "thumbnail.jpg",
    "preview": "preview.mp4",
}
BATCH_FOLDER = "frames"
#: The part of a job that the frames are; the rest is quick.
FRAMES_SHARE = 0.97
MOST_SPANS = 10
SPAN_GAP_SECONDS = 0.1
#: The longest run of bidirectional pictures that H.264 and HEVC allow.
MOST_WAITING_ROWS = 16
#: The detector takes its last memory when it first follows a body that it has found.
LOOKS_UNTIL_ALL_IS_OPEN = 3


@dataclass
class FrameStats:
    """What is counted while the frames go by: sums only, so that it never grows."""

    frames: int = 0
    processed: int = 0
    detected: int = 0
    visibility: float = 0.0
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    trimmed: bool = False
    damaged: int = 0
    #: The codec, where damage may pass without a word.
    unchecked: str | None = None
    #: Pictures that came faster than the most that is shown.
    left_out: int = 0
    #: From when to when the picture may be wrong; the last one of many goes on to the end.
    damaged_spans: list[tuple[float, float]] = field(default_factory=list)
    thumbnail_has_body: bool = False

    def add_damaged_span(self, start: float, end: float) -> None:
        """Join a span with the one before it, where they meet or there are many already."""
        spans = self.damaged_spans
        if spans and (start <= spans[-1][1] + SPAN_GAP_SECONDS or len(spans) == MOST_SPANS):
            spans[-1] = (min(start, spans[-1][0]), end)
        else:
            spans.append((start, end))


@dataclass
class _Row:
    """What was found in one picture, until it is known whether that is damaged."""

    index: int
    seconds: float
    pose: Pose
    damaged: bool


class _Closable(Protocol):
    def close(self) -> None: ...


_Part = TypeVar("_Part", bound=_Closable)


class FrameLoop:
    """The open parts of one job, and the loop over its frames."""

    def __init__(
        self,
        task: Task,
        factories: PipelineFactories,
        clip: Clip,
        reporter: Reporter,
        sample_memory: Callable[[], None],
        budget: MemoryBudget,
    ) -> None:
        self._task = task
        self._factories = factories
        self._clip = clip
        self._reporter = reporter
        self._sample_memory = sample_memory
        self._budget = budget
        self._smart = task.detection_mode == "smart"
        self._fallbacks = factories.make_fallbacks() if self._smart else None
        self._stats = FrameStats()
        self._rows: deque[_Row] = deque()

    def run(self) -> FrameStats:
        """Open every part, take the frames through, finish the files, close the parts."""
        with ExitStack() as stack:
            self._open(stack)
            drawing: Drawing | None = None
            for frame in self._frames():
                self._mark_damage(frame)
                if frame.index % self._task.frame_interval == 0:
                    # A body that is no longer found is no longer drawn either.
                    pose = self._look(frame)
                    drawing = self._plan(frame, pose) if pose is not None else None
                self._show(frame, drawing)
                self._report_progress(frame)
            self._finish()
        return self._stats

    def _open(self, stack: ExitStack) -> None:
        task, factories = self._task, self._factories

        def opened(name: str, make: Callable[[], _Part]) -> _Part:
            with stage(name):
                part = make()
            stack.callback(part.close)
            return part

        # The detector first: what it takes is known then, and the decoder gets what is left.
        self._detector = opened(
            "pose", lambda: factories.make_detector(static_image_mode=self._smart)
        )
        self._budget.allow_untouched()
        self._reader: FrameReader = opened(
            "decode",
            lambda: factories.open_reader(
                self._clip,
                width=task.output_width,
                max_pixels=task.max_pixels,
                max_duration_seconds=task.max_duration_seconds,
                budget=self._budget,
            ),
        )
        self._table = opened(
            "csv", lambda: factories.open_landmarks_csv(task.folder / FILES["csv"])
        )
        self._writer = opened(
            "encode",
            lambda: factories.open_writer(task.folder / FILES["video"], fps=self._clip.fps),
        )
        self._source: Iterable[Frame] = self._reader
        if task.frame_source == "batch":
            folder = opened(
                "batch",
                lambda: factories.open_folder(
                    task.folder / BATCH_FOLDER,
                    batch_frames=task.batch_frames,
                    image_format=task.batch_format,
                ),
            )
            self._source = folder.through(self._polled(self._reader))

    def _frames(self) -> Iterator[Frame]:
        """The frames, with what goes wrong on the way to them named."""
        waiting = iter(self._source)
        while True:
            with stage("decode"):
                frame = next(waiting, None)
            if frame is None:
                return
            yield frame

    def _polled(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with a chance to cancel before each, for a source that takes many at once."""
        for frame in frames:
            self._reporter.check()
            yield frame

    def _look(self, frame: Frame) -> Pose | None:
        """Find the body, count it and write it down."""
        stats = self._stats
        with stage("pose"):
            picture = self._factories.to_rgb(frame.pixels)
            if self._fallbacks is None:
                pose = self._detector.detect(picture, frame.seconds)
            else:
                pose = self._fallbacks.find(self._detector, picture, frame.seconds)
        stats.processed += 1
        self._sample_memory()
        if stats.processed == LOOKS_UNTIL_ALL_IS_OPEN:
            self._budget.all_running()
        if pose is not None:
            stats.detected += 1
            stats.visibility += mean_visibility(pose)
            self._rows.append(_Row(frame.index, frame.seconds, pose, frame.damaged))
        return pose

    def _mark_damage(self, frame: Frame) -> None:
        """Mark the waiting rows that this picture decides; write those that no later one can.

        A damaged picture comes after the bidirectional ones that were made from it, so rows wait
        for the next that is not bidirectional.
        """
        if frame.damaged:
            for row in self._rows:
                row.damaged = True
            first = self._rows[0].seconds if self._rows else frame.seconds
            self._stats.add_damaged_span(first, frame.seconds)
        while self._rows and (not frame.bidirectional or len(self._rows) > MOST_WAITING_ROWS):
            self._write_row()

    def _write_row(self) -> None:
        row = self._rows.popleft()
        with stage("csv"):
            self._table.write(row.index, row.seconds, row.pose, row.damaged)

    def _plan(self, frame: Frame, pose: Pose) -> Drawing:
        height, width = frame.pixels.shape[0] * 2 // 3, frame.pixels.shape[1]
        with stage("draw"):
            return self._factories.plan(pose, width, height)

    def _show(self, frame: Frame, drawing: Drawing | None) -> None:
        """Draw the last known body, add the frame to the video, keep the picture of it."""
        stats = self._stats
        first = stats.frames == 0
        first_body = drawing is not None and not stats.thumbnail_has_body
        if drawing is not None:
            with stage("draw"):
                self._factories.draw(frame.pixels, drawing)
        with stage("encode"):
            self._writer.write(frame)
        stats.frames += 1
        stats.seconds = frame.seconds
        stats.width, stats.height = frame.pixels.shape[1], frame.pixels.shape[0] * 2 // 3
        if first or first_body:
            stats.thumbnail_has_body = first_body
            self._write_thumbnail(frame.pixels)

    def _write_thumbnail(self, pixels: Image) -> None:
        with stage("thumbnail"):
            self._factories.write_thumbnail(self._task.folder / FILES["thumbnail"], pixels)

    def _report_progress(self, frame: Frame) -> None:
        expected = min(self._clip.duration_seconds, self._task.max_duration_seconds)
        self._reporter.advance(
            FRAMES_SHARE * frame.seconds / expected,
            lambda: f"Finding the body: {frame.seconds:.1f} of {expected:.1f} s",
        )

    def _finish(self) -> None:
        if self._stats.frames == 0:
            raise UnreadableVideo("No picture of the video can be decoded: it is damaged.")
        self._stats.trimmed = self._reader.trimmed
        self._stats.damaged = self._reader.damaged
        self._stats.unchecked = self._reader.unchecked
        self._stats.left_out = self._reader.left_out
        while self._rows:
            self._write_row()
        with stage("csv"):
            self._table.finish()
        with stage("encode"):
            self._writer.finish()

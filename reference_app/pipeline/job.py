"""One job from the uploaded file to its results, in one pass.

Results take their names only when they are whole, so a job that fails or is cancelled leaves
nothing that looks like one.
"""

from __future__ import annotations

from collections.abc import Callable

from reference_app.pipeline.factories import Parts
from reference_app.pipeline.loop import FILES, FRAMES_SHARE, FrameLoop, Tally
from reference_app.pipeline.probe import Clip
from reference_app.pipeline.runtime import Reporter, stage
from reference_app.pipeline.task import Progress, Summary, Task

__all__ = ["process"]

#: Every field is a module-level name, so one set of parts serves all jobs.
STANDARD_PARTS = Parts()


def _unheard(progress: Progress) -> None:
    """Nobody watches."""


def _never() -> bool:
    return False


def process(
    task: Task,
    parts: Parts = STANDARD_PARTS,
    *,
    report: Callable[[Progress], None] = _unheard,
    cancelled: Callable[[], bool] = _never,
) -> Summary:
    """Do the job; its results are in the task's folder when this returns.

    Raises `UnreadableVideo`, `PipelineCancelled` or `StageFailed`. What `report` or `cancelled`
    raise passes through unchanged. In every case everything that was opened is closed.
    """
    started = parts.clock()
    memory = parts.measure_memory()
    reporter = Reporter(report, cancelled, parts.clock)

    reporter.enter("probe", 0.0, "Looking at the video")
    with stage("probe"):
        clip = parts.probe(task.source, max_pixels=task.max_pixels)
    with stage("start"):
        parts.load_libraries()
    reporter.enter("frames", 0.0, "Finding the body")
    tally = FrameLoop(task, parts, clip, reporter, memory.sample).run()
    reporter.enter("preview", FRAMES_SHARE, "Cutting the preview")
    with stage("preview"):
        parts.cut_preview(
            task.folder / FILES["video"],
            task.folder / FILES["preview"],
            seconds=task.preview_seconds,
        )
    reporter.enter("done", 1.0, "Done")
    return _summary(task, clip, tally, parts.clock() - started, memory.bytes())


def _summary(task: Task, clip: Clip, tally: Tally, wall: float, peak: int) -> Summary:
    shown = tally.seconds + 1 / clip.fps
    return Summary(
        frames=tally.frames,
        processed=tally.processed,
        detected=tally.detected,
        detection_rate=tally.detected / tally.processed,
        mean_visibility=tally.visibility / tally.detected if tally.detected else 0.0,
        duration_seconds=round(min(shown, task.max_duration_seconds), 3),
        original_duration_seconds=round(max(clip.duration_seconds, tally.seconds), 3),
        trimmed=tally.trimmed,
        damaged_packets=tally.damaged,
        width=tally.width,
        height=tally.height,
        wall_seconds=round(wall, 3),
        peak_memory_bytes=peak,
        files=dict(FILES),
        notes=tuple(_notes(task, clip, tally)),
    )


def _notes(task: Task, clip: Clip, tally: Tally) -> list[str]:
    notes = []
    if tally.trimmed:
        notes.append(
            f"Only the first {task.max_duration_seconds:g} of {clip.duration_seconds:.1f} s "
            "were processed."
        )
    if tally.damaged:
        notes.append(f"{tally.damaged} damaged parts of the video were skipped.")
    if tally.detected == 0:
        notes.append("Nobody was found in the video.")
    return notes

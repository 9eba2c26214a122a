"""One job from the uploaded file to its results, in one pass.

Results take their names only when they are whole, so a job that fails or is cancelled leaves
nothing that looks like one.
"""

from __future__ import annotations

from collections.abc import Callable

from reference_app.pipeline.budget import MemoryBudget, needs_too_much
from reference_app.pipeline.decode import MAX_FPS
from reference_app.pipeline.factories import PipelineFactories
from reference_app.pipeline.loop import FILES, FRAMES_SHARE, FrameLoop, FrameStats
from reference_app.pipeline.probe import Clip
from reference_app.pipeline.runtime import Reporter, stage
from reference_app.pipeline.task import Progress, Summary, Task

__all__ = ["process"]

#: Every field is a module-level name, so one set of factories serves all jobs.
STANDARD_FACTORIES = PipelineFactories()


def _unheard(progress: Progress) -> None:
    """Nobody watches."""


def _never() -> bool:
    return False


def process(
    task: Task,
    factories: PipelineFactories = STANDARD_FACTORIES,
    *,
    report: Callable[[Progress], None] = _unheard,
    cancelled: Callable[[], bool] = _never,
) -> Summary:
    """Do the job; its results are in the task's folder when this returns.

    Raises `UnreadableVideo` (`OutOfMemory` among it), `PipelineCancelled` or `StageFailed`. What
    `report` or `cancelled` raise passes through unchanged. In every case everything that was
    opened is closed.
    """
    try:
        return _process(task, factories, report, cancelled)
    except MemoryError as error:
        if task.memory_bytes is None:
            raise
        raise needs_too_much(task.memory_bytes) from error


def _process(
    task: Task,
    factories: PipelineFactories,
    report: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Summary:
    started = factories.clock()
    memory = factories.measure_memory()
    reporter = Reporter(report, cancelled, factories.clock)
    budget = MemoryBudget(task.memory_bytes)

    reporter.enter("probe", 0.0, "Looking at the video")
    with stage("probe"):
        clip = factories.probe(task.source, max_pixels=task.max_pixels, budget=budget)
    with stage("start"):
        factories.load_libraries()
    reporter.enter("frames", 0.0, "Finding the body")
    stats = FrameLoop(task, factories, clip, reporter, memory.sample, budget).run()
    reporter.enter("preview", FRAMES_SHARE, "Cutting the preview")
    with stage("preview"):
        factories.cut_preview(
            task.folder / FILES["video"],
            task.folder / FILES["preview"],
            seconds=task.preview_seconds,
        )
    reporter.enter("done", 1.0, "Done")
    return _summary(task, clip, stats, factories.clock() - started, memory.bytes())


def _summary(task: Task, clip: Clip, stats: FrameStats, wall: float, peak: int) -> Summary:
    shown = stats.seconds + 1 / clip.fps
    return Summary(
        frames=stats.frames,
        processed=stats.processed,
        detected=stats.detected,
        detection_rate=stats.detected / stats.processed,
        mean_visibility=stats.visibility / stats.detected if stats.detected else 0.0,
        duration_seconds=round(min(shown, task.max_duration_seconds), 3),
        original_duration_seconds=round(max(clip.duration_seconds, stats.seconds), 3),
        trimmed=stats.trimmed,
        damaged_packets=stats.damaged,
        width=stats.width,
        height=stats.height,
        wall_seconds=round(wall, 3),
        peak_memory_bytes=peak,
        files=dict(FILES),
        notes=tuple(_notes(task, clip, stats)),
    )


def _notes(task: Task, clip: Clip, stats: FrameStats) -> list[str]:
    notes = []
    if stats.trimmed:
        shown = min(task.max_duration_seconds, stats.seconds + 1 / clip.fps)
        notes.append(f"Only the first {shown:.3g} of {clip.duration_seconds:.1f} s were processed.")
    if stats.left_out:
        notes.append(
            f"{stats.left_out} pictures that came faster than {MAX_FPS} a second were left out."
        )
    if stats.damaged:
        notes.append(
            f"{stats.damaged} parts of the video are damaged or too large and were skipped or "
            "patched."
        )
    if stats.damaged_spans:
        spans = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in stats.damaged_spans)
        notes.append(
            f"The picture may be wrong at {spans}; the landmarks there are marked as damaged."
        )
    if stats.unchecked:
        notes.append(
            f"{stats.unchecked} has no check for damaged pictures: if the file was damaged on its "
            "way, wrong landmarks may not be marked."
        )
    if stats.detected == 0:
        notes.append("Nobody was found in the video.")
    return notes

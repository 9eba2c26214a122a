"""Whatever goes wrong, and wherever: all that was opened is closed, and nothing half-made stays."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.clips import clip

pytest.importorskip("mediapipe")

from reference_app.pipeline import (
    PipelineCancelled,
    PipelineError,
    PipelineFactories,
    Progress,
    StageFailed,
    Task,
    UnreadableVideo,
    process,
)
from reference_app.pipeline.libraries import load
from reference_app.pipeline.pose import PoseDetector
from reference_app.pipeline.task import FrameSource
from tests.reference_app.conftest import settled, until

OPENERS = ("open_reader", "make_detector", "open_landmarks_csv", "open_writer", "open_folder")
CALLS = (
    "probe",
    "load_libraries",
    "make_fallbacks",
    "to_rgb",
    "plan",
    "draw",
    "write_thumbnail",
    "cut_preview",
)
METHODS = (
    ("make_detector", "detect", "pose"),
    ("open_landmarks_csv", "write", "csv"),
    ("open_landmarks_csv", "finish", "csv"),
    ("open_writer", "write", "encode"),
    ("open_writer", "finish", "encode"),
)


class Broken(RuntimeError):
    """The injected failure."""


def broken(*_: object, **__: object) -> Any:
    """Raise, whatever is asked."""
    raise Broken("on purpose")


class Resources:
    """PipelineFactories as they are, with every opening and closing written down."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        real = PipelineFactories()
        self.parts = dataclasses.replace(
            real, **{name: self.counted(name, getattr(real, name)) for name in OPENERS}
        )

    def counted(self, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*args: Any, **kwargs: Any) -> Any:
            part = make(*args, **kwargs)
            self.opened.append(name)
            close = part.close

            def counted_close() -> None:
                self.closed.append(name)
                close()
                close()  # closing twice must be closing once

            part.close = counted_close
            return part

        return opened

    def with_broken_method(self, field: str, method: str) -> PipelineFactories:
        make = getattr(self.parts, field)

        def opened(*args: Any, **kwargs: Any) -> Any:
            part = make(*args, **kwargs)
            setattr(part, method, broken)
            return part

        return dataclasses.replace(self.parts, **{field: opened})


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A short job that uses every part, the batch folder too."""
    short = clip(width=320, height=240, seconds=0.3)
    return Task(short.path, tmp_path, frame_source="batch", batch_frames=4, detection_mode="smart")


def handles() -> tuple[int, int]:
    me = psutil.Process()
    return me.num_fds(), me.num_threads()


@functools.cache
def _first_detector() -> None:
    """Have the threads that the current MediaPipe starts once for the whole process."""
    PoseDetector().close()


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    """No file descriptor and no thread more than before."""
    load()
    _first_detector()
    before = settled(handles)
    yield
    # Fewer is right as well: a thread of an earlier test may have been about to end.
    until(lambda: all(now <= then for now, then in zip(handles(), before, strict=True)), 5)


def assert_clean(resources: Resources, task: Task, *, may_remain: tuple[str, ...] = ()) -> None:
    assert sorted(resources.closed) == sorted(resources.opened)
    left = {path.name for path in task.folder.iterdir()} - set(may_remain)
    assert left == set(), "half-made results stayed"


FINISHED = ("thumbnail.jpg", "landmarks.csv", "video.mp4")


def test_a_job_that_ends_well_closes_all(task: Task) -> None:
    resources = Resources()
    summary = process(task, resources.parts)
    assert sorted(resources.opened) == sorted(OPENERS)
    assert_clean(resources, task, may_remain=tuple(summary.files.values()))


@pytest.mark.parametrize("field", [*OPENERS, *CALLS])
def test_a_part_that_breaks_leaves_the_others_closed(task: Task, field: str) -> None:
    resources = Resources()
    parts = dataclasses.replace(resources.parts, **{field: broken})
    with pytest.raises((StageFailed, Broken)) as failure:
        process(task, parts)
    assert "on purpose" in str(failure.value)
    assert_clean(resources, task, may_remain=FINISHED)


@pytest.mark.parametrize(("field", "method", "stage"), METHODS)
def test_a_part_that_breaks_at_work_is_closed_with_the_others(
    task: Task, field: str, method: str, stage: str
) -> None:
    resources = Resources()
    with pytest.raises(StageFailed) as failure:
        process(task, resources.with_broken_method(field, method))
    assert failure.value.stage == stage
    assert field in resources.opened
    assert_clean(resources, task, may_remain=FINISHED)


@pytest.mark.parametrize("polls", [0, 1, 2, 5, 9, 14, 17, 20])
def test_cancelling_at_any_moment_closes_all(task: Task, polls: int) -> None:
    resources = Resources()
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > polls

    with pytest.raises(PipelineCancelled):
        process(task, resources.parts, cancelled=cancelled)
    assert_clean(resources, task, may_remain=FINISHED)


@pytest.mark.parametrize(("source", "times"), [("stream", 1), ("batch", 2)])
def test_cancelling_is_asked_for_at_every_frame(
    task: Task, source: FrameSource, times: int
) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return False

    # A batch is filled before it is looked at, so each of its frames passes twice.
    summary = process(dataclasses.replace(task, frame_source=source), cancelled=cancelled)
    assert asked > times * summary.frames


@pytest.mark.parametrize("stage", ["probe", "frames", "preview", "done"])
def test_a_watcher_that_raises_ends_the_job_and_all_is_closed(task: Task, stage: str) -> None:
    resources = Resources()

    def report(progress: Progress) -> None:
        if progress.stage == stage:
            raise ConnectionError("nobody is listening")

    with pytest.raises(ConnectionError):
        process(task, resources.parts, report=report)
    assert_clean(resources, task, may_remain=(*FINISHED, "preview.mp4"))


def test_a_half_written_preview_is_removed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_app.pipeline.preview.publish", broken)
    resources = Resources()
    with pytest.raises(StageFailed, match="preview failed"):
        process(task, resources.parts)
    assert_clean(resources, task, may_remain=FINISHED)


def test_parts_travel_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(PipelineFactories())) == PipelineFactories()


@pytest.mark.parametrize(
    "error",
    [UnreadableVideo("no"), PipelineCancelled("frames"), StageFailed("encode", "disk full")],
)
def test_errors_travel_between_processes(error: PipelineError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))

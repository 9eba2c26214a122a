"""The detector: same answers as MediaPipe's own, threads end with it, nothing left when closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from fixtures.clips import clip

pytest.importorskip("mediapipe")

from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.frames import Image, to_rgb
from reference_app.pipeline.libraries import has_solutions, load
from reference_app.pipeline.pose import PoseDetector
from reference_app.pipeline.probe import probe
from tests.reference_app.conftest import settled, until

MAX_PIXELS = 1920 * 1088
#: The current release is held to the joints that were drawn: test_pipeline_results.py.
needs_solutions = pytest.mark.skipif(
    not has_solutions(), reason="MediaPipe 0.10.21 was the last with Pose and its executor"
)


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """Some frames of a clip."""
    found = probe(clip(width=480, height=360, seconds=1.0).path, max_pixels=MAX_PIXELS)
    with FrameReader(found, width=720, max_pixels=MAX_PIXELS, max_duration_seconds=10) as reader:
        return [to_rgb(frame.pixels) for frame in reader if frame.index % 3 == 0]


@pytest.fixture
def original() -> Iterator[Any]:
    """MediaPipe's own Pose."""
    from mediapipe.python.solutions.pose import Pose

    pose = Pose()
    yield pose
    pose.close()


@needs_solutions
# MediaPipe's own way of reading results is deprecated inside protobuf.
@pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")
def test_it_gives_the_landmarks_that_mediapipe_gives(pictures: list[Image], original: Any) -> None:
    with PoseDetector() as detector:
        ours = [detector.detect(picture) for picture in pictures]
    theirs = [original.process(picture).pose_landmarks for picture in pictures]
    assert any(ours)
    for pose, answer in zip(ours, theirs, strict=True):
        expected = answer and tuple((p.x, p.y, p.z, p.visibility) for p in answer.landmark)
        assert pose == (expected or None)


@needs_solutions
def test_it_works_on_the_callers_thread(pictures: list[Image]) -> None:
    load()
    before = settled(psutil.Process().num_threads)
    with PoseDetector() as first, PoseDetector() as second:
        first.detect(pictures[0])
        second.detect(pictures[0])
        assert psutil.Process().num_threads() <= before


def test_threads_of_its_own_end_with_it(pictures: list[Image]) -> None:
    # The current MediaPipe starts some with the first detector that stay as long as the process.
    PoseDetector().close()
    before = settled(psutil.Process().num_threads)
    with PoseDetector() as first, PoseDetector() as second:
        first.detect(pictures[0])
        second.detect(pictures[0])
    until(lambda: psutil.Process().num_threads() <= before, 5)


def test_closing_twice_is_closing_once(pictures: list[Image]) -> None:
    detector = PoseDetector()
    detector.detect(pictures[0])
    detector.close()
    detector.close()
    assert detector.closed


def test_a_closed_detector_refuses_to_look(pictures: list[Image]) -> None:
    detector = PoseDetector()
    detector.close()
    with pytest.raises(ValueError, match="closed"):
        detector.detect(pictures[0])


def test_time_that_stands_still_does_not_break_it(pictures: list[Image]) -> None:
    with PoseDetector() as detector:
        for _ in range(3):
            assert detector.detect(pictures[0], 0.0) is not None


def test_an_empty_picture_has_no_body(pictures: list[Image]) -> None:
    import numpy as np

    with PoseDetector() as detector:
        assert detector.detect(np.zeros_like(pictures[0])) is None


def test_matplotlib_can_still_be_imported_after_mediapipe() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    assert matplotlib.__file__, "the stand-in is still there"

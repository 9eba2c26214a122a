"""Detection fallbacks: each maps its poses back to the picture as it is, and few are remembered."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")
pytest.importorskip("cv2")

from reference_app.pipeline.fallbacks import (  # noqa: E402
    FALLBACKS,
    HISTORY,
    DetectionFallbacks,
    from_lower_part,
)
from reference_app.pipeline.frames import Image  # noqa: E402
from reference_app.pipeline.skeleton import (  # noqa: E402
    BONES,
    LANDMARKS,
    MIRRORED,
    Landmark,
    Pose,
    mirror,
)

parts = st.floats(0, 1, allow_nan=False)
landmarks = st.builds(Landmark, parts, parts, parts, parts)
# A pose is 132 numbers: shrinking a counterexample takes minutes and shows nothing new.
quick = settings(max_examples=50, phases=[Phase.explicit, Phase.generate], deadline=None)
poses = st.lists(landmarks, min_size=33, max_size=33).map(tuple)

PICTURE = np.zeros((100, 60, 3), np.uint8)


def pose_of(visibility: float) -> Pose:
    return tuple(Landmark(0.25, 0.5, 0.0, visibility) for _ in LANDMARKS)


class Scripted:
    """Sees what it is set up to, call by call."""

    def __init__(self, *visibilities: float | None) -> None:
        self.script = list(visibilities)
        self.calls = 0

    def detect(self, picture: Image, seconds: float | None = None) -> Pose | None:
        visibility = self.script[self.calls % len(self.script)]
        self.calls += 1
        return None if visibility is None else pose_of(visibility)


@quick
@given(poses)
def test_a_mirror_in_a_mirror_is_the_pose_itself(pose: Pose) -> None:
    for back, point in zip(mirror(mirror(pose)), pose, strict=True):
        assert back.x == pytest.approx(point.x)
        assert back[1:] == point[1:]


@quick
@given(poses)
def test_a_mirrored_left_hand_is_the_right_one(pose: Pose) -> None:
    turned = mirror(pose)
    for index, name in enumerate(LANDMARKS):
        other = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        source = pose[LANDMARKS.index(other)]
        assert turned[index] == (1.0 - source.x, *source[1:])


def test_swapping_sides_keeps_every_bone() -> None:
    bones = {frozenset(bone) for bone in BONES}
    assert {frozenset(MIRRORED[end] for end in bone) for bone in bones} == bones


@quick
@given(poses, st.integers(40, 2000))
def test_a_pose_in_the_lower_part_stays_in_the_lower_part(pose: Pose, height: int) -> None:
    for back, point in zip(from_lower_part(pose, height), pose, strict=True):
        assert back.y == pytest.approx(0.35 + 0.65 * point.y, abs=1 / height)
        assert (back.x, back.z, back.visibility) == (point.x, point.z, point.visibility)


def test_a_well_seen_body_is_looked_at_once() -> None:
    detector = Scripted(0.9)
    assert DetectionFallbacks().find(detector, PICTURE, 0.0) == pose_of(0.9)
    assert detector.calls == 1


def test_ways_are_tried_until_one_is_good_enough() -> None:
    detector = Scripted(0.2, 0.3, 0.8)
    assert DetectionFallbacks().find(detector, PICTURE, 0.0) == pose_of(0.8)
    assert detector.calls == 3


def test_the_best_of_poor_views_is_taken() -> None:
    detector = Scripted(0.2, 0.4, None, 0.1, None)
    assert DetectionFallbacks().find(detector, PICTURE, 0.0) == pose_of(0.4)
    assert detector.calls == len(FALLBACKS)


def test_nobody_is_nobody() -> None:
    assert DetectionFallbacks().find(Scripted(None), PICTURE, 0.0) is None


def test_what_was_found_in_the_mirror_is_reported_as_it_is() -> None:
    strategies = DetectionFallbacks()
    found = strategies.find(Scripted(0.1, 0.1, 0.1, 0.9), PICTURE, 0.0)
    assert found == mirror(pose_of(0.9))


def test_the_way_that_helped_is_tried_sooner() -> None:
    strategies = DetectionFallbacks()
    strategies.find(Scripted(0.1, 0.1, 0.1, 0.9), PICTURE, 0.0)
    detector = Scripted(0.1, 0.9)
    assert strategies.find(detector, PICTURE, 0.1) == mirror(pose_of(0.9))


def test_the_memory_of_ways_is_bounded() -> None:
    strategies = DetectionFallbacks()
    for index in range(HISTORY * 3):
        strategies.find(Scripted(0.9), PICTURE, float(index))
    assert strategies.remembered == HISTORY


@pytest.mark.parametrize("name", FALLBACKS)
def test_every_way_gives_a_picture_that_a_detector_takes(name: str) -> None:
    picture = FALLBACKS[name].look(PICTURE)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == PICTURE.shape[1:]
    assert picture.flags.c_contiguous

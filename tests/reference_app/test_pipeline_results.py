"""What a job leaves behind is right: table, video, preview, thumbnail, statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.clips import WalkingClip, clip

pytest.importorskip("mediapipe")
pd = pytest.importorskip("pandas")

import av  # noqa: E402
import cv2  # noqa: E402

from reference_app.pipeline import Progress, Summary, Task, process  # noqa: E402
from reference_app.pipeline.landmarks_csv import COLUMNS  # noqa: E402
from reference_app.pipeline.skeleton import LANDMARKS  # noqa: E402


@pytest.fixture(scope="module")
def walk() -> WalkingClip:
    """A second of a person walking."""
    return clip(width=480, height=360, seconds=1.0)


@pytest.fixture(scope="module")
def done(walk: WalkingClip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    """That clip, processed."""
    folder = tmp_path_factory.mktemp("job")
    return process(Task(walk.path, folder)), folder


def test_the_statistics_count_every_frame_and_every_third_look(
    done: tuple[Summary, Path],
) -> None:
    summary, _ = done
    assert (summary.frames, summary.processed) == (30, 10)
    assert summary.detected >= 9
    assert summary.detection_rate == summary.detected / summary.processed
    assert 0.5 < summary.mean_visibility <= 1
    assert summary.wall_seconds > 0
    assert summary.peak_memory_bytes > 50 * 1024 * 1024
    assert (summary.trimmed, summary.damaged_packets, summary.notes) == (False, 0, ())
    assert summary.duration_seconds == pytest.approx(1.0, abs=0.02)


def test_a_job_leaves_its_four_files_and_nothing_else(done: tuple[Summary, Path]) -> None:
    summary, folder = done
    assert set(summary.files) == {"video", "csv", "thumbnail", "preview"}
    assert sorted(p.name for p in folder.iterdir()) == sorted(summary.files.values())


def test_the_table_has_one_row_a_landmark(done: tuple[Summary, Path]) -> None:
    summary, folder = done
    table = pd.read_csv(folder / summary.files["csv"])
    assert tuple(table.columns) == COLUMNS
    assert len(table) == summary.detected * len(LANDMARKS)
    assert set(table["landmark"]) == set(LANDMARKS)
    assert table["visibility"].between(0, 1).all()
    assert (table["frame"] % 3 == 0).all()
    assert (table["time"] - table["frame"] / 30).abs().max() < 0.001


def test_the_joints_are_where_they_were_drawn(
    done: tuple[Summary, Path], walk: WalkingClip
) -> None:
    summary, folder = done
    table = pd.read_csv(folder / summary.files["csv"])
    known = ["nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_ankle"]
    errors = []
    for frame, rows in table.groupby("frame"):
        found = rows.set_index("landmark")
        for name in known:
            x, y = walk.joints(int(frame))[name]
            row = found.loc[name]
            errors.append(
                ((row["x"] * walk.width - x) ** 2 + (row["y"] * walk.height - y) ** 2) ** 0.5
            )
    assert sum(errors) / len(errors) <= 0.05 * walk.figure_height


def test_the_video_is_what_browsers_play(done: tuple[Summary, Path]) -> None:
    summary, folder = done
    path = folder / summary.files["video"]
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert not stream.codec_context.has_b_frames
        times = [float(frame.time) for frame in video.decode(stream)]
    assert len(times) == summary.frames
    assert times[0] == 0
    assert times[-1] == pytest.approx(29 / 30, abs=0.002)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands behind the pictures"


def test_the_skeleton_is_on_every_frame(done: tuple[Summary, Path], walk: WalkingClip) -> None:
    summary, folder = done
    with av.open(str(folder / summary.files["video"])) as video:
        drawn = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    with av.open(str(walk.path)) as video:
        plain = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    for index, (after, before) in enumerate(zip(drawn, plain, strict=True)):
        changed = (cv2.absdiff(after, before).max(axis=2) > 60).mean()
        assert changed > 0.005, f"frame {index} shows no skeleton"


def test_the_thumbnail_is_a_small_picture(done: tuple[Summary, Path]) -> None:
    summary, folder = done
    picture = cv2.imread(str(folder / summary.files["thumbnail"]))
    assert picture.shape == (240, 320, 3)


def test_the_preview_is_the_first_three_seconds(tmp_path: Path) -> None:
    long = clip(width=320, height=240, seconds=4.0, fps=10)
    summary = process(Task(long.path, tmp_path, frame_interval=20))
    with av.open(str(tmp_path / summary.files["preview"])) as preview:
        times = [float(frame.time) for frame in preview.decode(video=0)]
    assert len(times) == 30
    assert max(times) < 3.0


def test_a_long_video_is_trimmed_and_says_so(tmp_path: Path) -> None:
    long = clip(width=320, height=240, seconds=2.0, fps=10)
    task = Task(long.path, tmp_path, max_duration_seconds=1.0, frame_interval=5)
    summary = process(task)
    assert (summary.trimmed, summary.frames) == (True, 10)
    assert summary.duration_seconds == 1.0
    assert summary.original_duration_seconds == pytest.approx(2.0, abs=0.01)
    assert summary.notes == ("Only the first 1 of 2.0 s were processed.",)


def test_a_video_of_just_the_limit_is_not_trimmed(tmp_path: Path) -> None:
    exact = clip(width=320, height=240, seconds=1.0, fps=10)
    summary = process(Task(exact.path, tmp_path, max_duration_seconds=1.0, frame_interval=5))
    assert (summary.trimmed, summary.frames) == (False, 10)


@pytest.mark.parametrize("image_format", ["jpg", "png"])
def test_batches_over_the_disk_give_the_same_results(
    walk: WalkingClip, done: tuple[Summary, Path], tmp_path: Path, image_format: str
) -> None:
    streamed, _ = done
    task = Task(
        walk.path,
        tmp_path,
        frame_source="batch",
        batch_frames=7,
        batch_format=image_format,  # type: ignore[arg-type]
    )
    summary = process(task)
    assert (summary.frames, summary.processed) == (streamed.frames, streamed.processed)
    assert abs(summary.detected - streamed.detected) <= 1
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(summary.files.values())


def test_a_wide_video_is_scaled_down_and_a_small_one_is_left(tmp_path: Path) -> None:
    wide = clip(width=1280, height=720, seconds=0.1)
    small = clip(width=320, height=240, seconds=0.1)
    (tmp_path / "wide").mkdir()
    (tmp_path / "small").mkdir()
    first = process(Task(wide.path, tmp_path / "wide"))
    second = process(Task(small.path, tmp_path / "small"))
    assert (first.width, first.height) == (720, 404)
    assert (second.width, second.height) == (320, 240)


def test_smart_detection_finds_at_least_as_many_bodies(walk: WalkingClip, tmp_path: Path) -> None:
    summary = process(Task(walk.path, tmp_path, detection_mode="smart", frame_interval=10))
    assert summary.processed == 3
    assert summary.detected >= 2


def test_progress_goes_up_and_is_reported_a_few_times_a_second(
    walk: WalkingClip, tmp_path: Path
) -> None:
    reported: list[Progress] = []
    summary = process(Task(walk.path, tmp_path), report=reported.append)
    fractions = [progress.fraction for progress in reported]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    stages = list(dict.fromkeys(progress.stage for progress in reported))
    assert stages == ["probe", "frames", "preview", "done"]
    assert len(reported) <= len(stages) + summary.wall_seconds / 0.3 + 1


def test_naming_the_pipeline_loads_none_of_its_libraries() -> None:
    import subprocess
    import sys

    code = (
        "import sys, reference_app.pipeline;"
        "heavy = {'cv2', 'av', 'numpy', 'mediapipe', 'pandas'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)

"""The bundle of models for the current MediaPipe: what it is made from, and that it is enough."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from reference_app.errors import StartupError
from reference_app.pipeline import pose_model
from reference_app.pipeline.libraries import has_solutions, load_mediapipe

mediapipe = pytest.importorskip("mediapipe")
INSTALLED = Path(mediapipe.__file__).parents[1]
needs_solutions = pytest.mark.skipif(
    not has_solutions(), reason="the models are in the wheel of MediaPipe 0.10.21 alone"
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle from the models of the installed MediaPipe."""
    load_mediapipe()
    made = tmp_path / "pose.task"
    pose_model.make_bundle(made, INSTALLED)
    return made


@needs_solutions
def test_the_bundle_holds_both_models_uncompressed_and_aligned(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        assert list(entries) == ["pose_detector.tflite", "pose_landmarks_detector.tflite"]
        assert {entry.compress_type for entry in entries.values()} == {zipfile.ZIP_STORED}
        contents = bundle.read_bytes()
        for name in entries:
            assert contents.index(archive.read(name)) % pose_model.ALIGNMENT_BYTES == 0


@needs_solutions
def test_the_same_models_make_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.task"
    pose_model.make_bundle(again, INSTALLED)
    assert again.read_bytes() == bundle.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.task", "pose.task"]


@needs_solutions
def test_the_landmark_model_keeps_its_tensors_and_says_the_range_of_its_input(bundle: Path) -> None:
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
    from mediapipe.tasks.metadata import schema_py_generated as schema

    def tensors(model: bytes) -> list[bytes]:
        whole = schema.ModelT.InitFromPackedBuf(model, 0)
        return [bytes(b"" if b.data is None else b.data) for b in whole.buffers]

    original = (INSTALLED / pose_model.LANDMARKS).read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        changed = archive.read("pose_landmarks_detector.tflite")
    *kept, note = tensors(changed)
    assert kept == tensors(original)
    (tensor,) = metadata.ModelMetadataT.InitFromPackedBuf(note, 0).subgraphMetadata
    (unit,) = tensor.inputTensorMetadata[0].processUnits
    assert ([*unit.options.mean], [*unit.options.std]) == ([0.0], [255.0])


def test_a_model_that_is_not_the_expected_one_is_refused(tmp_path: Path) -> None:
    for name in pose_model.SHA256:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ValueError, match=f"has the SHA-256 {found}, expected"):
        pose_model.make_bundle(tmp_path / "pose.task", tmp_path)
    assert not (tmp_path / "pose.task").exists()


def test_a_service_without_its_model_does_not_start_and_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose_model, "MODEL", tmp_path / "pose.task")
    monkeypatch.setattr(pose_model, "has_solutions", lambda: False)
    with pytest.raises(StartupError, match=r"python -m reference_app\.pipeline\.pose_model"):
        pose_model.require_model()


def test_the_mediapipe_with_models_in_its_wheel_needs_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose_model, "MODEL", tmp_path / "pose.task")
    monkeypatch.setattr(pose_model, "has_solutions", lambda: True)
    pose_model.require_model()

"""Makes the model of the current MediaPipe: `python -m reference_app.pipeline.pose_model`.

MediaPipe's wheels have carried no model since 0.10.30. The bundle that its PoseLandmarker reads is
a zip archive of two TensorFlow Lite models, stored uncompressed; both are in the wheel of 0.10.21,
under other names, so nothing is needed but the package index that pip or uv uses anyway.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from reference_app.errors import StartupError
from reference_app.pipeline.libraries import has_solutions

__all__ = ["ModelMissing", "model_path", "require_model"]

MODEL = Path(__file__).with_name("pose_landmarker.task")
SOURCE = "mediapipe==0.10.21"
#: The newest Python that the source has a wheel for.
SOURCE_PYTHON = "3.12"
DETECTOR = "mediapipe/modules/pose_detection/pose_detection.tflite"
LANDMARKS = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
SHA256 = {
    DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARKS: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
#: Where models begin in the archive, so that their tensors can be read in place.
ALIGNMENT_BYTES = 16
#: The smallest extra field of a zip entry: a tag and a length.
EXTRA_HEADER_BYTES = 4
LOCAL_HEADER_BYTES = 30
EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)


class ModelMissing(StartupError):
    """The bundle has not been made; the message says how."""


def model_path() -> Path:
    """The bundle.

    Raises:
        ModelMissing: it has not been made.
    """
    if not MODEL.exists():
        raise ModelMissing(
            f"The pose model {MODEL} is missing. "
            "Make it with: python -m reference_app.pipeline.pose_model"
        )
    return MODEL


def require_model() -> None:
    """Raise `ModelMissing` where the installed MediaPipe needs the bundle and it is not there."""
    if importlib.util.find_spec("mediapipe") is not None and not has_solutions():
        model_path()


def main() -> int:
    """Fetch the wheel of 0.10.21 and make the bundle from it; the exit status."""
    if MODEL.exists():
        print(f"{MODEL} is there.")
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            install_source(Path(folder))
            make_bundle(MODEL, Path(folder))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"The pose model was not made: {error}", file=sys.stderr)
        return 1
    print(f"Made {MODEL}.")
    return 0


def install_source(folder: Path) -> None:
    """Unpack the wheel of 0.10.21 into a folder, with uv or pip, whichever there is."""
    uv = shutil.which("uv")
    tool = [uv, "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", SOURCE_PYTHON]
    command = [*tool, "install", *options, "--target", str(folder), SOURCE]
    subprocess.run(command, check=True)


def make_bundle(path: Path, installed: Path) -> None:
    """Write the bundle from the models below a folder that has MediaPipe 0.10.21.

    Raises:
        ValueError: a model is not the one that is expected.
    """
    models = {name: checked(installed / name, sha256) for name, sha256 in SHA256.items()}
    write_archive(
        path,
        {
            "pose_detector.tflite": models[DETECTOR],
            "pose_landmarks_detector.tflite": with_normalization(models[LANDMARKS]),
        },
    )


def checked(path: Path, sha256: str) -> bytes:
    """The contents of a file. Raises `ValueError` where they are not those that are expected."""
    contents = path.read_bytes()
    found = hashlib.sha256(contents).hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name} has the SHA-256 {found}, expected {sha256}")
    return contents


def with_normalization(model: bytes) -> bytes:
    """The landmark model with a note that pixels from 0 to 255 become numbers from 0 to 1.

    `solutions` had this range in its graph; Tasks reads it from the model's metadata, which the
    detector's model already has.
    """
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
    from mediapipe.tasks.metadata import schema_py_generated as schema

    range_ = metadata.NormalizationOptionsT()
    range_.mean, range_.std = [0.0], [255.0]
    unit = metadata.ProcessUnitT()
    unit.optionsType = metadata.ProcessUnitOptions.NormalizationOptions
    unit.options = range_
    tensor, graph, note = (
        metadata.TensorMetadataT(),
        metadata.SubGraphMetadataT(),
        metadata.ModelMetadataT(),
    )
    tensor.processUnits = [unit]
    graph.inputTensorMetadata = [tensor]
    note.subgraphMetadata = [graph]
    packed_note = flatbuffers.Builder()
    packed_note.Finish(note.Pack(packed_note), b"M001")

    whole = schema.ModelT.InitFromPackedBuf(model, 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = bytes(packed_note.Output())
    entry.name, entry.buffer = "TFLITE_METADATA", len(whole.buffers)
    whole.buffers.append(buffer)
    whole.metadata.append(entry)
    packed = flatbuffers.Builder(len(model))
    packed.Finish(whole.Pack(packed), b"TFL3")
    return bytes(packed.Output())


def write_archive(path: Path, models: dict[str, bytes]) -> None:
    """Write an archive of these models, the same bytes every time, and then give it its name."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
            for name, contents in models.items():
                entry = zipfile.ZipInfo(name, EARLIEST_TIME)
                begins = file.tell() + LOCAL_HEADER_BYTES + len(name) + EXTRA_HEADER_BYTES
                padding = -begins % ALIGNMENT_BYTES
                entry.extra = b"\0\0" + padding.to_bytes(2, "little") + bytes(padding)
                bundle.writestr(entry, contents)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())

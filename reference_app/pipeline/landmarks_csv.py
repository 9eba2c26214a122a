"""The landmarks as a table on disk, each row written as soon as it is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from reference_app.pipeline.runtime import partial_path, publish
from reference_app.pipeline.skeleton import LANDMARKS, Pose

__all__ = ["COLUMNS", "LandmarkCsvWriter"]

COLUMNS = ("frame", "time", "landmark", "x", "y", "z", "visibility", "damaged")


class LandmarkCsvWriter:
    """An open CSV file with one row a landmark; it takes its name when `finish()` is called.

    x and y are parts of the picture's width and height; z has the scale of x, smaller is nearer.
    damaged is 1 where the picture may be wrong, because the file is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = partial_path(path).open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        try:
            self._rows.writerow(COLUMNS)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LandmarkCsvWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, index: int, seconds: float, pose: Pose, damaged: bool = False) -> None:
        """Write the rows of one frame, and let the system have them."""
        if self._file is None:
            raise ValueError("the table is closed")
        time = f"{seconds:.6f}"
        self._rows.writerows(
            (index, time, name, *(f"{value:.6f}" for value in point), int(damaged))
            for name, point in zip(LANDMARKS, pose, strict=True)
        )
        self._file.flush()

    def finish(self) -> None:
        """Close the file and give it its name."""
        if self._file is None:
            raise ValueError("the table is closed")
        self._file.close()
        publish(self._path)
        self._file = None

    def close(self) -> None:
        """Close the file and remove it unless it was finished; a second call does nothing."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        finally:
            partial_path(self._path).unlink(missing_ok=True)

"""Known leaks of other people's packages, by name and version, that a project may accept."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["KNOWN_LEAKS", "KnownLeak", "installed_version"]

_ASK = """
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
"""
_ASK_SECONDS = 30.0


@dataclass(frozen=True)
class KnownLeak:
    """A leak that was measured in somebody else's package, and is not the caller's to mend.

    It is in the `versions` (beginnings of version numbers) of the `distributions`, any of which may
    be installed for the subject. `pattern` is a glob over frames, as in `Accepted`; it is empty
    where the package leaves no frame, so that who accepts it has to name the calling line. `most`
    is what an iteration may leave, in bytes, blocks or objects. `evidence` says how it was seen.
    """

    name: str
    distributions: tuple[str, ...]
    versions: tuple[str, ...]
    reason: str
    evidence: str
    most: float
    pattern: str = ""

    def is_in(self, version: str) -> bool:
        """Whether this version is one of those that were found to leak."""
        return any(f"{version}.".startswith(f"{one}.") for one in self.versions)


KNOWN_LEAKS = {
    leak.name: leak
    for leak in (
        KnownLeak(
            name="opencv-file-names",
            distributions=("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
            versions=("4.11",),
            reason="OpenCV keeps each file name that imread and imwrite are given",
            evidence="opencv 4.11.0, CPython 3.11: 1 str for each imread, 18,376 iterations",
            most=1024.0,
        ),
        KnownLeak(
            name="mediapipe-closed-detector",
            distributions=("mediapipe",),
            versions=("0.10",),
            reason="MediaPipe keeps C memory of each detector that was closed",
            evidence="mediapipe 0.10.21, CPython 3.11: 930 B [866, 994] for each, 82 iterations",
            most=2048.0,
            pattern="*/mediapipe/*",
        ),
    )
}


def installed_version(python: str, distributions: Iterable[str]) -> tuple[str, str] | None:
    """(name, version) of the first of these that this interpreter has; None where none is known."""
    try:
        answer = subprocess.run(
            [python, "-c", _ASK, *distributions],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    name, _, version = answer.stdout.partition("\n")[0].partition(" ")
    return (name, version) if version else None

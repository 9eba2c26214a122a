"""The heavy libraries, imported in their leanest form, and only where a job really runs.

The API process names this package's classes without ever paying for what they need, so every
module here imports OpenCV, PyAV and MediaPipe inside the functions that use them.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import types
from pathlib import Path

__all__ = ["has_solutions", "load", "load_mediapipe"]


def load() -> None:
    """Import everything that a job needs; the second call costs nothing."""
    import av  # noqa: F401
    import cv2

    load_mediapipe()
    cv2.setNumThreads(1)


def load_mediapipe() -> None:
    """Import MediaPipe without matplotlib, which only its 3D plot uses: 29 MiB and 0.6 s less.

    The stand-in is there during this import alone: whoever imports matplotlib later gets it.
    """
    if "mediapipe" in sys.modules:
        return
    stand_ins = {} if "matplotlib" in sys.modules else _plotting_stand_ins()
    sys.modules.update(stand_ins)
    try:
        if has_solutions():
            import mediapipe.python.solutions.pose  # noqa: F401
        else:
            from mediapipe.tasks.python.core.mediapipe_c_bindings import load_raw_library

            # Otherwise each worker loads it for itself, and has its relocations for itself.
            load_raw_library()
    finally:
        for name in stand_ins:
            del sys.modules[name]


@functools.cache
def has_solutions() -> bool:
    """Whether the MediaPipe that is installed is 0.10.21 or older; found out without importing it.

    Raises:
        ModuleNotFoundError: none is installed.
    """
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe")
    return (Path(spec.origin).parent / "python" / "solutions").is_dir()


def _plotting_stand_ins() -> dict[str, types.ModuleType]:
    package = types.ModuleType("matplotlib")
    plot = types.ModuleType("matplotlib.pyplot")
    package.pyplot = plot  # type: ignore[attr-defined]
    return {"matplotlib": package, "matplotlib.pyplot": plot}

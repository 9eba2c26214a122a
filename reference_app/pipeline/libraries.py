"""The heavy libraries, imported in their leanest form, and only where a job really runs.

The API process names this package's classes without ever paying for what they need, so every
module here imports OpenCV, PyAV and MediaPipe inside the functions that use them.
"""

from __future__ import annotations

import sys
import types

__all__ = ["load", "load_mediapipe"]


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
        import mediapipe.python.solutions.pose  # noqa: F401
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _plotting_stand_ins() -> dict[str, types.ModuleType]:
    package = types.ModuleType("matplotlib")
    plot = types.ModuleType("matplotlib.pyplot")
    package.pyplot = plot  # type: ignore[attr-defined]
    return {"matplotlib": package, "matplotlib.pyplot": plot}

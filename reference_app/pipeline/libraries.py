"""The heavy libraries, imported in their leanest form, and only where a job really runs.

The API process names this package's classes without ever paying for what they need, so every
module here imports OpenCV, PyAV and MediaPipe inside the functions that use them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

__all__ = ["has_solutions", "load", "load_mediapipe"]

#: What the first NumPy loads at once and the second when it is used; no stage uses it.
_RARE_IN_NUMPY = ("fft", "ma", "polynomial", "random")


def load() -> None:
    """Import everything that a job needs; the second call costs nothing."""
    _load_numpy()
    import av  # noqa: F401
    import cv2

    load_mediapipe()
    cv2.setNumThreads(1)


def _load_numpy() -> None:
    """Import NumPy 1 as NumPy 2 imports itself: some of its packages when they are first used.

    At once they take 4 MiB, and 5 MiB of libraries.
    """
    if "numpy" in sys.modules or not has_solutions():
        return
    stand_ins = {f"numpy.{name}": types.ModuleType(name) for name in _RARE_IN_NUMPY}
    sys.modules.update(stand_ins)
    try:
        import numpy
    finally:
        for name in stand_ins:
            del sys.modules[name]
    for name in _RARE_IN_NUMPY:
        del vars(numpy)[name]
    known = numpy.__getattr__

    def load_when_used(name: str) -> Any:
        if name in _RARE_IN_NUMPY:
            return importlib.import_module(f"numpy.{name}")
        return known(name)

    vars(numpy)["__getattr__"] = load_when_used


def load_mediapipe() -> None:
    """Import of MediaPipe what finds poses, without its other solutions, tasks and its 3D plot.

    They are 8 MiB, and matplotlib 29 more and 0.6 s. Whoever imports matplotlib later gets it; an
    other solution has to be imported by its whole name.
    """
    if "mediapipe" in sys.modules:
        return
    stand_ins = {} if "matplotlib" in sys.modules else _plotting_stand_ins()
    sys.modules.update(stand_ins)
    try:
        if has_solutions():
            _open_package("mediapipe")
            _open_package("mediapipe.python.solutions")
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


def _open_package(name: str) -> None:
    """Make a package's modules importable without its first file, which imports all of them."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, sys.modules[name])


def _plotting_stand_ins() -> dict[str, types.ModuleType]:
    package = types.ModuleType("matplotlib")
    plot = types.ModuleType("matplotlib.pyplot")
    package.pyplot = plot  # type: ignore[attr-defined]
    return {"matplotlib": package, "matplotlib.pyplot": plot}

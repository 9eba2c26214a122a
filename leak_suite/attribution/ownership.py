"""Whose code a file is: the subject's own, a library's, or the machinery that measures.

Used inside the subject by path, and by the host: standard library only, 3.9 syntax.
"""

# It runs inside the subject, often between two of its lines: os, and not pathlib.
# ruff: noqa: PTH100, PTH118, PTH119, PTH120
from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from typing import Any

__all__ = ["Ownership"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MACHINERY = (
    "agent",
    "attribution",
    "check",
    "cli",
    "probes",
    "pytest_plugin",
    "runner",
    "subject",
)


class Ownership:
    """Tells own files from library files by the folders that this interpreter imports from.

    `names` are top-level packages that count as the subject's own wherever they are installed.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        libraries: Iterable[str] | None = None,
        machinery: Iterable[str] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.libraries = tuple(_library_folders() if libraries is None else libraries)
        self.machinery = tuple(
            [os.path.join(_PACKAGE, name) + os.sep for name in _MACHINERY]
            if machinery is None
            else machinery
        )
        self._known: dict[str, bool] = {}

    def is_own(self, file: str) -> bool:
        """Whether `file` is the subject's own code."""
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = self._look(file)
        return known

    def is_machinery(self, file: str) -> bool:
        """Whether `file` belongs to what measures."""
        return file.startswith(self.machinery)

    def as_data(self) -> dict[str, Any]:
        """Plain data from which the same judgement can be made elsewhere."""
        return {
            "names": list(self.names),
            "libraries": list(self.libraries),
            "machinery": list(self.machinery),
        }

    def _look(self, file: str) -> bool:
        if file.startswith("<") or not file or self.is_machinery(file):
            return False
        for folder in self.libraries:
            if file.startswith(folder):
                first = file[len(folder) :].partition(os.sep)[0]
                return first.split(".")[0] in self.names
        return True

    def package(self, file: str) -> str:
        """The library package that `file` belongs to, or its name where it is in none."""
        for folder in self.libraries:
            if file.startswith(folder):
                return file[len(folder) :].partition(os.sep)[0]
        return os.path.basename(file)


def _library_folders() -> list[str]:
    """Longest first, so that site-packages is found before the library that it lies in."""
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.add(os.path.dirname(os.__file__))
    for folder in list(sys.path):
        if os.path.basename(folder) in ("site-packages", "dist-packages", "lib-dynload"):
            folders.add(folder)
    folders |= {os.path.realpath(folder) for folder in folders}
    return sorted({folder.rstrip(os.sep) + os.sep for folder in folders}, key=len, reverse=True)

"""Whose code a file is: the subject's own, a library's, or the instrumentation's."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Iterable
    from typing import Any

__all__ = ["INSTRUMENTATION", "Ownership"]

INSTRUMENTATION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder of the package that measures; its frames are never shown."""


class Ownership:
    """Tells own files from library files by the folders that this interpreter imports from.

    `names` are top-level packages that count as the subject's own wherever they are installed.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        libraries: Iterable[str] | None = None,
        instrumentation: Iterable[str] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.libraries = tuple(_library_folders() if libraries is None else libraries)
        ours = (INSTRUMENTATION + os.sep,)
        self.instrumentation = ours if instrumentation is None else tuple(instrumentation)
        self._known: dict[str, bool] = {}

    def is_own(self, file: str) -> bool:
        """Whether `file` is the subject's own code."""
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = self._decide(file)
        return known

    def is_instrumentation(self, file: str) -> bool:
        """Whether `file` belongs to what measures: this package, or memray's Python half."""
        return file.startswith(self.instrumentation) or self.package(file) == "memray"

    def as_data(self) -> dict[str, Any]:
        """Plain data from which the same decisions can be made elsewhere."""
        return {
            "names": list(self.names),
            "libraries": list(self.libraries),
            "instrumentation": list(self.instrumentation),
        }

    def package(self, file: str) -> str:
        """The library package that `file` belongs to, or its name where it is in none."""
        for folder in self.libraries:
            if file.startswith(folder):
                return file[len(folder) :].partition(os.sep)[0]
        return os.path.basename(file)

    def _decide(self, file: str) -> bool:
        if file.startswith("<") or not file or file.startswith(self.instrumentation):
            return False
        for folder in self.libraries:
            if file.startswith(folder):
                first = file[len(folder) :].partition(os.sep)[0]
                return first.split(".")[0] in self.names
        return True


def _library_folders() -> list[str]:
    """Longest first, so that site-packages is found before the library that it lies in."""
    import sysconfig

    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.add(os.path.dirname(os.__file__))
    for folder in list(sys.path):
        if os.path.basename(folder) in ("site-packages", "dist-packages", "lib-dynload"):
            folders.add(folder)
    folders |= {os.path.realpath(folder) for folder in folders}
    return sorted({folder.rstrip(os.sep) + os.sep for folder in folders}, key=len, reverse=True)

"""A line of code, as results name it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Place"]

_TEXT = re.compile(r"(.*):(-?\d+)(?: (.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A line of code; `function` is empty where it is not known. `str` is its form in files."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}".rstrip()

    @classmethod
    def from_text(cls, text: str) -> Place:
        """The place that `text`, the `str` of one, names.

        Raises:
            ValueError: it is not "file:line function".
        """
        found = _TEXT.match(text)
        if found is None:
            raise ValueError(f"{text!r} is not a place: file:line function")
        return cls(found[1], int(found[2]), found[3] or "")

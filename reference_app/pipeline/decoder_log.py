"""What a decoder says of damage in its log alone: it goes on, and raises no flag.

FFmpeg's HEVC decoder so reports values out of their range, units that it cannot read, and pictures
that are not those of the checksum that came with them.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.logging import Capture

__all__ = ["DecoderLog"]

#: Only a warning, and damage all the same.
_UNREADABLE_UNIT = "Skipping invalid undecodable NALU"


class DecoderLog:
    """Listens to FFmpeg on this thread while a block decodes; `tells_damage` is of the last one."""

    def __init__(self) -> None:
        self.tells_damage = False
        self._capture: Capture | None = None
        self._lines: list[tuple[int, str, str]] = []

    def __enter__(self) -> None:
        from av import logging

        self._before = logging.get_level(), logging.get_skip_repeated()
        logging.set_skip_repeated(False)
        logging.set_level(logging.WARNING)
        self._capture = logging.Capture()
        self._lines = self._capture.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from av import logging

        assert self._capture is not None
        self._capture.__exit__(None, None, None)
        logging.set_level(self._before[0])
        logging.set_skip_repeated(self._before[1])
        self.tells_damage = any(
            level <= logging.ERROR or text.startswith(_UNREADABLE_UNIT)
            for level, _, text in self._lines
        )

"""A terminal that writes into a string, so that a renderer can lay out and yet print nothing."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

__all__ = ["StringConsole"]


class StringConsole(Console):
    """A rich console of a given width; `text()` is what was written, without trailing blanks."""

    def __init__(self, *, width: int, colour: bool) -> None:
        self._text_file = StringIO()
        super().__init__(
            file=self._text_file,
            width=width,
            force_terminal=colour,
            color_system="standard" if colour else None,
            no_color=not colour,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )

    def text(self) -> str:
        """All lines so far."""
        return "\n".join(line.rstrip() for line in self._text_file.getvalue().splitlines()) + "\n"

"""The text that a reader of an HTML page sees: without scripts, styles and markup."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["visible_text"]

_BLOCKS = {
    *("article", "caption", "details", "div", "dl", "dd", "dt", "figure", "footer", "h1", "h2"),
    *("h3", "h4", "h5", "header", "li", "main", "p", "section", "summary", "table", "title", "tr"),
}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden = tag
        self.parts.append("\n" if tag in _BLOCKS else " | " if tag in ("td", "th") else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(f" {data} ".split("\n")))


def visible_text(page: str) -> str:
    """One line for each block of the page, with single spaces."""
    reader = _Reader()
    reader.feed(page)
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line) + "\n"

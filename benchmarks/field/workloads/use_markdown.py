"""Markdown: a text with a table and code is converted."""

import markdown

TEXT = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n\n* [link](x)\n* *word*\n" * 3


def job() -> None:
    """One text's life."""
    assert "<table>" in markdown.markdown(TEXT, extensions=["tables", "fenced_code", "toc"])

"""Pygments: a source is highlighted in lexers that are found by name."""

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, guess_lexer

SOURCE = "def f(x):\n    return {'a': x, 'b': [1, 2, 3]}  # comment\n" * 5


def job() -> None:
    """One source's life."""
    for name in ("python", "javascript"):
        assert "span" in highlight(SOURCE, get_lexer_by_name(name), HtmlFormatter(linenos=True))
    guess_lexer(SOURCE)

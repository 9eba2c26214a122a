"""The command lines that README and docs show, found in their fenced blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Command", "commands"]

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.S | re.M)
_SHELLS = {"", "sh", "bash", "console"}
_PROGRAMS = {
    *("leak-suite", "python", "python3", "locust", "pip", "pytest", "docker", "cd", "git"),
    *("tox", "uv", "mkdocs"),
}


@dataclass(frozen=True)
class Command:
    """One command line of a page, its variables taken off."""

    page: Path
    line: int
    words: tuple[str, ...]
    variables: tuple[str, ...]

    @property
    def said(self) -> str:
        """The whole line again."""
        return shlex.join((*self.variables, *self.words))

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line} {shlex.join(self.words)[:60]}"


def commands(page: Path) -> Iterator[Command]:
    """Every command line of the page's blocks; plans and drawings in bare blocks are none."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        if block[1] not in _SHELLS:
            continue
        first = text.count("\n", 0, block.start(2)) + 1
        prompts = block[1] == "console"
        joined = re.sub(r"\\\n\s*", " ", block[2])
        for offset, line in enumerate(joined.splitlines()):
            if prompts and not line.startswith("$ "):
                continue
            words = _words(line.removeprefix("$ "))
            variables = tuple(_leading_variables(words))
            words = words[len(variables) :]
            if words and (words[0] in _PROGRAMS or block[1]):
                yield Command(page, first + offset, words, variables)


def _words(line: str) -> tuple[str, ...]:
    # A column of explanations may stand beside the commands; brackets are a form to fill in.
    line = re.split(r" {3,}", line.strip())[0]
    line = re.sub(r"\[(--[^\]]*)\]", r"\1", line)
    try:
        return tuple(shlex.split(line, comments=True))
    except ValueError:  # an apostrophe in a drawing
        return ()


def _leading_variables(words: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        if not re.match(r"[A-Z][A-Z_]*=", word):
            return
        yield word

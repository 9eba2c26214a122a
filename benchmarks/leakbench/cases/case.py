"""What an own case is: a seeded factory of one job, and what should be found in it."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MARK", "Draw", "Job", "OwnCase", "clean", "leak"]

MARK = "# LEAK"

Job = Callable[[], Any]
Factory = Callable[["Draw"], Job]


class Draw:
    """Sizes and periods of one case, drawn from a seed that the run prints."""

    def __init__(self, name: str, seed: int) -> None:
        self.rng = random.Random(f"{name}-{seed}")  # noqa: S311

    def size(self, low: int, high: int) -> int:
        """A whole number between the two, even on a logarithmic scale: small ones as likely."""
        return round(low * math.pow(high / low, self.rng.random()))

    def count(self, low: int, high: int) -> int:
        """A whole number between the two, both included."""
        return self.rng.randint(low, high)


@dataclass(frozen=True)
class OwnCase:
    """One kind of job; `grows` is empty where it is clean, and names the surest metric first.

    `python_level` is false where no line of Python allocates what leaks; `below_bar` marks leaks
    too small to be demanded of a gate.
    """

    make: Factory
    grows: tuple[str, ...] = ()
    python_level: bool = True
    below_bar: bool = False

    @property
    def name(self) -> str:
        """The factory's own name."""
        return self.make.__name__

    @property
    def key(self) -> str:
        """`module:function` below this package, which is what selects it from outside."""
        return f"{self.make.__module__.rpartition('.')[2]}:{self.name}"

    @property
    def about(self) -> str:
        """First line of the factory's documentation."""
        return (self.make.__doc__ or "").strip().splitlines()[0]

    @property
    def file(self) -> Path:
        """The file in which the case is written."""
        return Path(inspect.getfile(self.make)).resolve()

    def marked_lines(self) -> frozenset[int]:
        """Numbers of the lines that leak."""
        lines, first = inspect.getsourcelines(self.make)
        return frozenset(first + n for n, line in enumerate(lines) if MARK in line)

    def job(self, seed: int) -> Job:
        """The job, with the sizes that `seed` gives."""
        return self.make(Draw(self.name, seed))


def leak(
    *grows: str, python_level: bool = True, below_bar: bool = False
) -> Callable[[Factory], OwnCase]:
    """Mark a factory as a leak in the metrics `grows`, the surest first."""

    def wrap(make: Factory) -> OwnCase:
        return OwnCase(make, grows, python_level, below_bar)

    return wrap


def clean(make: Factory) -> OwnCase:
    """Mark a factory as clean, however it looks."""
    return OwnCase(make)

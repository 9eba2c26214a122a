"""What a case is: a program as people write them, which leaks where LEAK is set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

__all__ = ["KINDS", "MARK", "Case", "app", "command", "function"]

MARK = "# LEAK"
#: What can grow, and the metrics of which one at least must then be growing.
KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "memory": frozenset(
            {"heap", "blocks", "gc_objects", "rss", "rss_anon", "pss", "uss", "private_dirty"}
        ),
        "fds": frozenset({"fds"}),
        "threads": frozenset({"threads", "python_threads"}),
        "tasks": frozenset({"tasks"}),
        "children": frozenset({"children"}),
        "files": frozenset({"temp_files", "temp_bytes"}),
    }
)
_WINDOW_BYTES = 1 << 19


@dataclass(frozen=True)
class Case:
    """One program, its workload and the truth about its leaky twin.

    `subject` is what follows the workload on the command line. Of `grows` (keys of `KINDS`) one
    must be found; the first is what grows surest, by `rate` an iteration (bytes, or how many).
    `calls` is what one window of the proof repeats, and `warm_up` what comes before it.
    """

    name: str
    about: str
    folder: Path
    subject: tuple[str, ...]
    workload: str | None
    grows: tuple[str, ...]
    rate: float
    options: tuple[str, ...] = ()
    redis: bool = False
    calls: int = 0
    warm_up: int = 0

    @property
    def window(self) -> int:
        """Calls of one window: enough for the growth to stand out from what a process does."""
        if self.calls:
            return self.calls
        if self.grows[0] != "memory":
            return 60
        return min(1000, max(60, math.ceil(_WINDOW_BYTES / self.rate)))

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics of which one at least grows."""
        return frozenset().union(*(KINDS[kind] for kind in self.grows))

    def lines(self) -> frozenset[tuple[str, int]]:
        """(file, line) of each line that makes what stays, or that keeps it."""
        return frozenset(
            (str(path.resolve()), number)
            for path in sorted(self.folder.glob("*.py"))
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if line.endswith(MARK)
        )

    def arguments(self) -> tuple[str, ...]:
        """The words after `leak-suite run`."""
        workload = () if self.workload is None else ("--workload", self.workload)
        return (*workload, *self.options, *self.subject)


def app(
    home: Path,
    folder: str,
    about: str,
    workload: str,
    rate: float,
    *grows: str,
    calls: int = 0,
    warm_up: int = 0,
) -> Case:
    """An ASGI application in `app.py`, which the gate serves itself."""
    subject, drive = ("--app", "app.py:app"), f"workload.py:{workload}"
    grows = grows or ("memory",)
    return Case(
        folder, about, home / folder, subject, drive, grows, rate, calls=calls, warm_up=warm_up
    )


def command(
    home: Path,
    folder: str,
    about: str,
    workload: str,
    rate: float,
    *grows: str,
    argv: str,
    name: str = "",
    options: tuple[str, ...] = (),
    redis: bool = False,
    calls: int = 0,
    warm_up: int = 0,
) -> Case:
    """A command, with `{port}` where it serves one; `workload` is `file.py:function`."""
    return Case(
        name or folder,
        about,
        home / folder,
        ("--", *argv.split()),
        workload,
        grows or ("memory",),
        rate,
        options=options,
        redis=redis,
        calls=calls,
        warm_up=warm_up,
    )


def function(
    home: Path,
    folder: str,
    about: str,
    rate: float,
    *grows: str,
    calls: int = 0,
    warm_up: int = 0,
) -> Case:
    """The function `job` of `batch.py`, which the gate repeats itself."""
    grows = grows or ("memory",)
    return Case(
        folder, about, home / folder, ("batch.py:job",), None, grows, rate,
        calls=calls, warm_up=warm_up,
    )  # fmt: skip

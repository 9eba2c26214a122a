"""What `leak-suite explain` found, and its file form: a run file whose `kind` is "explanation"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from leak_suite.errors import RunFileError
from leak_suite.fsutil import write_whole
from leak_suite.result import Outcome

__all__ = [
    "KIND",
    "PARTS",
    "Explanation",
    "GroupInfo",
    "GrowthDriver",
    "MemoryReading",
    "Phase",
    "RemedyTrial",
    "Word",
    "is_explanation_data",
]

KIND = "explanation"
SCHEMA_VERSION = 1

PARTS: Mapping[str, str] = {
    "python_used": "in use by Python objects of up to 512 bytes",
    "native_used": "in use by native code and larger objects",
    "python_kept": "freed, kept by Python's allocator",
    "arenas_kept": "freed, trapped in the C library's arenas",
    "copies": "copied by forked processes",
    "other_anon": "other anonymous memory (stacks, own mappings)",
    "files": "mapped files (programs and libraries)",
    "shared": "shared memory and tmpfs",
    "page_cache": "page cache of the control group",
    "kernel": "kernel memory of the control group",
}
"""The parts that memory is made of, by their names in the file, in the order of the table."""


class Word(str, Enum):
    """What it is, in a word."""

    LEAK = "leak"
    FILLING = "filling"
    ALLOCATOR = "allocator"
    FORK_COPIES = "fork copies"
    PAGE_CACHE = "page cache"
    STEADY = "steady"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class MemoryReading:
    """One reading after so many `iterations` and `seconds` of work, in bytes by part.

    A part that cannot be read is missing. `copies` are the copied bytes of each forked process by
    its label. `arenas` are those of the C library in all processes. `peak` adds up the highest
    resident memory that each process had by then.
    """

    iterations: int
    seconds: float
    parts: Mapping[str, float]
    copies: Mapping[str, float] = field(default_factory=dict)
    arenas: int = 0
    peak: float = 0.0

    @property
    def of_processes(self) -> float:
        """What the processes hold themselves, in bytes."""
        group = ("page_cache", "kernel")
        return sum(value for name, value in self.parts.items() if name not in group)

    @property
    def total(self) -> float:
        """All parts together, in bytes."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class GroupInfo:
    """The control group whose page cache and kernel memory were read.

    `own` says whether it was made for the subject, and so holds nothing else. `error` says why none
    could be read; empty where one was.
    """

    name: str = ""
    own: bool = False
    error: str = ""


@dataclass(frozen=True)
class RemedyTrial:
    """The workload under one remedy, or under none: bytes that the processes hold.

    `growth` is from before the first iteration to the end, `late_growth` that of the second half
    and `slope` the same per iteration. `per_second` counts iterations. `not_tried` and `failed`
    say why there are no figures.
    """

    name: str
    growth: float | None = None
    slope: float | None = None
    late_growth: float | None = None
    level: float | None = None
    peak: float | None = None
    per_second: float | None = None
    works: bool = False
    not_tried: str = ""
    failed: str = ""


@dataclass(frozen=True)
class Phase:
    """A stretch of work or rest, and what grew in it; None where that could not be read."""

    name: str
    iterations: int
    seconds: float
    growth: float | None


@dataclass(frozen=True)
class GrowthDriver:
    """What the growth of a metric goes with: `kind` is "work", "clock" or "both".

    `per_iteration` and `per_second` are in `unit`; together they give the growth of each phase.
    """

    kind: str
    metric: str
    unit: str
    per_iteration: float
    per_second: float
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """What one subject's memory is made of while its workload is repeated.

    `verdict` is the headline of the run that judged it, and `line` the first place that it named.
    `remedy` says what helps, and `remedy_lines` are to be copied. `notes` say what could not be
    read. The first reading was taken before the first iteration. `trials` are of remedies, where
    they were tried, and `best` the name of the one to take. `growth` says whether a leak goes with
    the work or with the clock; None where that was not watched.
    """

    subject: str
    environment: Mapping[str, Any]
    word: Word
    why: str
    verdict: str
    line: str
    remedy: str
    readings: tuple[MemoryReading, ...]
    remedy_lines: tuple[str, ...] = ()
    group: GroupInfo = GroupInfo()
    notes: tuple[str, ...] = ()
    over_budget: bool = False
    trials: tuple[RemedyTrial, ...] = ()
    best: str = ""
    growth: GrowthDriver | None = None
    command: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Growing (1) for a leak, inconclusive (2) where it is unclear, else stable (0)."""
        if self.word is Word.LEAK:
            return Outcome.GROWING
        if self.over_budget:
            return Outcome.OVER_BUDGET
        return Outcome.INCONCLUSIVE if self.word is Word.UNCLEAR else Outcome.STABLE

    @property
    def iterations(self) -> int:
        """How many iterations the readings cover."""
        return self.readings[-1].iterations if self.readings else 0

    @property
    def seconds(self) -> float:
        """Seconds of work that the readings cover."""
        return self.readings[-1].seconds if self.readings else 0.0

    def to_json(self) -> str:
        """The text of the run file."""
        data = {"kind": KIND, "schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Explanation:
        """The explanation from the parsed JSON of `to_json`.

        Raises:
            RunFileError: it is not that, or of a version that this release does not know.
        """
        try:
            if data["schema_version"] != SCHEMA_VERSION:
                raise RunFileError(
                    f"schema version {data['schema_version']} of an explanation is unknown; this "
                    f"release reads version {SCHEMA_VERSION}"
                )
            values = {k: v for k, v in data.items() if k not in ("kind", "schema_version")}
            growth = data["growth"]
            return cls(
                **{
                    **values,
                    "growth": None if growth is None else _growth(growth),
                    "word": Word(data["word"]),
                    "readings": tuple(MemoryReading(**one) for one in data["readings"]),
                    "group": GroupInfo(**data["group"]),
                    "trials": tuple(RemedyTrial(**one) for one in data["trials"]),
                    **{name: tuple(data[name]) for name in ("remedy_lines", "notes", "command")},
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFileError(f"not the run file of an explanation: {error}") from error

    def write(self, path: Path) -> None:
        """Write the run file whole or not at all; folders on the way are made."""
        write_whole(path, self.to_json())


def _growth(data: Mapping[str, Any]) -> GrowthDriver:
    return GrowthDriver(**{**data, "phases": tuple(Phase(**one) for one in data["phases"])})


def is_explanation_data(data: object) -> bool:
    """Whether parsed JSON is the run file of an explanation, of whatever version."""
    return isinstance(data, dict) and data.get("kind") == KIND

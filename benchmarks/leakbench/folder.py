"""Reading a folder of cases: what to run, with which requirements, and what is true of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.leakbench.cases.case import OwnCase

__all__ = ["JobCase", "own_cases", "read_folder"]

_VARIANTS = ("leaky", "fixed", "clean")
_CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class JobCase:
    """One variant of one job, and the truth about it.

    `requirements` is None where the job runs in the interpreter that runs the benchmark. `grows`
    names the metrics that really grow, `surest` the one of them that must be found for a strict
    match. `lines` are the leaking lines, where they are known.
    """

    name: str
    variant: str
    target: str
    python: str
    requirements: str | None
    grows: tuple[str, ...] = ()
    surest: str | None = None
    file: str = ""
    lines: frozenset[int] = frozenset()
    python_level: bool = True
    below_bar: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def leaks(self) -> bool:
        """Whether a gate should call it growing."""
        return self.variant == "leaky"

    @property
    def key(self) -> str:
        """Name and variant."""
        return f"{self.name}/{self.variant}"


def read_folder(folder: Path) -> tuple[JobCase, ...]:
    """Every variant of every case in `folder`, those of its index.json or all that have a job."""
    index = _index(folder)
    names = list(index) or sorted(path.parent.name for path in folder.glob("*/job.py"))
    if not names:
        raise FileNotFoundError(
            f"{folder}: no case in it. A case is a folder with a job.py, a python.txt and "
            "leaky.txt and fixed.txt, or clean.txt."
        )
    return tuple(case for name in names for case in _variants(folder / name, index.get(name, {})))


def own_cases(table: Mapping[str, OwnCase], seed: int, python: str) -> tuple[JobCase, ...]:
    """The project's own cases with the sizes that `seed` gives, on the interpreter `python`."""
    return tuple(
        JobCase(
            name=name,
            variant="leaky" if own.grows else "clean",
            target=f"{_CASES / 'job.py'}:job",
            python=python,
            requirements=None,
            grows=own.grows,
            surest=own.grows[0] if own.grows else None,
            file=str(own.file),
            lines=own.marked_lines(),
            python_level=own.python_level,
            below_bar=own.below_bar,
            environment={"LEAKBENCH_CASE": own.key, "LEAKBENCH_SEED": str(seed)},
        )
        for name, own in table.items()
    )


def _index(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "index.json"
    if not path.exists():
        return {}
    return {entry["name"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))}


def _variants(folder: Path, entry: Mapping[str, Any]) -> tuple[JobCase, ...]:
    version = (folder / "python.txt").read_text(encoding="utf-8").strip()
    return tuple(
        JobCase(
            name=folder.name,
            variant=variant,
            target=f"{folder / 'job.py'}:job",
            python=version,
            requirements=requirements.read_text(encoding="utf-8"),
            grows=tuple(entry.get("grows_in", ())) if variant == "leaky" else (),
            surest=entry.get("metric_that_grows") if variant == "leaky" else None,
        )
        for variant in _VARIANTS
        if (requirements := folder / f"{variant}.txt").exists()
    )

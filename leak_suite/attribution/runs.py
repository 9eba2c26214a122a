"""Fresh traced runs of a subject, and what their tracers wrote."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from leak_suite.attribution.launching import Launch, TracedSubject
from leak_suite.attribution.ownership import Ownership
from leak_suite.attribution.plan import Length
from leak_suite.attribution.sites import Amount, Frame
from leak_suite.attribution.together import at_once
from leak_suite.errors import LeakSuiteError, SubjectError
from leak_suite.service_process import kill_group
from leak_suite.subject import SubjectDied, Trace

__all__ = ["Record", "Tracer", "seen_by"]

_NO_GUARD = 1e9
_CLEARLY_SHORTER = 0.8
_ARENA_SIZE = 512
"""Up to so many bytes pymalloc serves from its arenas."""


Seen = Callable[[tuple[Frame, ...]], bool]


@dataclass(frozen=True)
class Record:
    """What one traced run left: how long it was, and the tracer's data.

    `age` counts all iterations that its process had seen by the end.
    """

    iterations: int
    age: int
    data: Mapping[str, Any]
    owner: Ownership = field(compare=False)

    @property
    def kind(self) -> str:
        """What really traced the allocations."""
        return str(self.data["kind"])

    def allocations(self, unit: str, seen: Seen) -> tuple[Amount, ...]:
        """Live allocations as "bytes" or as "count", of those stacks that are `seen`."""
        return tuple(
            Amount(
                row[unit],
                stack,
                detail=_native(row.get("native", ())),
                weight=row["bytes"],
            )
            for row in self.data["records"]
            if seen(stack := _stack(row["stack"]))
        )

    def objects(self, class_name: str = "") -> tuple[Amount, ...]:
        """Live objects, of all types or of the classes of that name only."""
        rows = self.data.get("objects", ())
        return tuple(
            Amount(
                row["count"],
                _stack(row["stack"]),
                row["type"],
                f"held by {row['holder']}" if row.get("holder") else "held by no name of a module",
            )
            for row in rows
            if not class_name or row["type"].split(".")[-1] == class_name
        )

    def origins(self, watch: str) -> tuple[Amount, ...]:
        """What is open, each thing counted once, with the stack that opened it."""
        rows = self.data.get("origins", {}).get(watch, ())
        return tuple(
            Amount(1, _stack(row["stack"] or ()), detail=f"for example {row['what']}")
            for row in rows
        )

    def containers(self) -> Mapping[str, tuple[str, int]]:
        """Type and length of what can be reached by name, by the path to it."""
        rows = self.data.get("containers", ())
        return {row["path"]: (row["type"], row["length"]) for row in rows}


class Tracer:
    """Runs of one subject, traced by `kind` as `plan` says; their files lie in `folder`.

    None lasts beyond `until` (of the monotonic clock), unless it is in this very process.
    """

    def __init__(
        self,
        launch: Launch,
        folder: Path,
        kind: str,
        plan: Mapping[str, Any],
        *,
        until: float,
        native: bool = False,
        same_process: bool = False,
    ) -> None:
        self._launch = launch
        self._same_process = same_process
        self._age = 0
        self._folder = folder
        self._kind = kind
        self._plan = plan
        self._until = until
        self._native = native
        self._numbers = itertools.count(1)

    def run(self, lengths: Sequence[Length], warm_up: int) -> list[Record]:
        """A record for each length, the shorter ones first; all at once where that can be.

        Where time cut them all to about the same, another is made that is twice as long.
        """
        records = self._all(lengths, warm_up)
        if len(records) < 2:
            twice = 2 * records[-1].iterations
            again = Length(twice, twice, self._left())
            records = _longer_and_longer([*records, *self._all([again], warm_up)])
        if len(records) < 2:
            raise SubjectError("it became too slow to be repeated twice as often")
        return records

    def _all(self, lengths: Sequence[Length], warm_up: int) -> list[Record]:
        outputs = [self._folder / f"{self._kind}-{next(self._numbers)}.bin" for _ in lengths]
        works = [
            # Only the last two are compared by what can be reached by name.
            partial(
                self._one_or_again, length, warm_up, output, holders=position >= len(lengths) - 2
            )
            for position, (length, output) in enumerate(zip(lengths, outputs, strict=True))
        ]
        if self._same_process:
            return _longer_and_longer([work() for work in works])
        names = [str(output) for output in outputs]
        ended = at_once(works, until=self._until, give_up=partial(self._give_up, names))
        for end in ended:
            if isinstance(end, LeakSuiteError):
                raise end
        return _longer_and_longer([end for end in ended if isinstance(end, Record)])

    def _give_up(self, outputs: Sequence[str]) -> None:
        self._until = time.monotonic()
        _kill_traced(outputs)

    def _one_or_again(self, length: Length, warm_up: int, output: Path, *, holders: bool) -> Record:
        """A record; begun again once, since a tracer may crash what lives well without it."""
        try:
            return self._one(length, warm_up, output, holders=holders)
        except SubjectDied:
            if not self._left():
                raise
            Path(f"{output}.go").unlink(missing_ok=True)
            return self._one(length, warm_up, output, holders=holders)

    def _one(self, length: Length, warm_up: int, output: Path, *, holders: bool) -> Record:
        plan = {**self._plan, "wait": True, "goes_on": self._same_process}
        plan["holders"] = holders and plan.get("holders", False)
        Path(f"{output}.plan").write_text(json.dumps(plan), encoding="utf-8")
        with self._launch(Trace(self._kind, output, self._native)) as subject:
            warmed = self._repeat(subject, warm_up, self._left())
            subject.begin_trace()
            done = self._repeat(subject, length.iterations, length.seconds)
            if done < length.least:
                done += self._repeat(subject, length.least - done, self._left())
            subject.stop_trace(self._until)
        data = _read(Path(f"{output}.json"))
        facts = data["ownership"]
        owner = Ownership(facts["names"], facts["libraries"], facts["machinery"])
        self._age = warmed + done + (self._age if self._same_process else 0)
        return Record(done, self._age, data, owner)

    def _repeat(self, subject: TracedSubject, iterations: int, seconds: float) -> int:
        left = self._left()
        done = subject.round(
            iterations, seconds=min(seconds, left), scale=_NO_GUARD, patience=max(1.0, left)
        )
        if done.error is not None and not done.done:
            raise SubjectError(f"the workload failed while it was traced: {done.error}")
        return done.done

    def _left(self) -> float:
        return max(0.0, self._until - time.monotonic())


def _longer_and_longer(records: Sequence[Record]) -> list[Record]:
    """Those of clearly different length."""
    kept: list[Record] = []
    for record in sorted(records, key=lambda record: -record.iterations):
        if not kept or record.iterations <= _CLEARLY_SHORTER * kept[0].iterations:
            kept.insert(0, record)
    return kept


def _kill_traced(outputs: Sequence[str]) -> None:
    """End those children of ours that write to `outputs`, whatever they are doing."""
    import psutil  # only here, where something went wrong

    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any(f"trace_output={output}" in child.cmdline() for output in outputs):
                kill_group(child.pid)


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        raise SubjectError(f"the tracer left no record: {error}") from error
    return data


def seen_by(metric: str, records: Sequence[Record]) -> Seen:
    """Whether `metric` sees what a stack allocates.

    Blocks are Python's own; the heap, which is malloc's, never sees what pymalloc serves from its
    arenas. All records together tell: one row joins what a stack took in whatever way and size,
    and is called by one of them only.
    """
    python: set[tuple[Frame, ...]] = set()
    size: Counter[tuple[Frame, ...]] = Counter()
    count: Counter[tuple[Frame, ...]] = Counter()
    for row in (row for record in records for row in record.data["records"]):
        stack = _stack(row["stack"])
        size[stack] += row["bytes"]
        count[stack] += row["count"]
        if row["python"]:
            python.add(stack)
    if metric == "blocks":
        return python.__contains__
    if metric == "heap":
        return lambda stack: stack not in python or size[stack] > _ARENA_SIZE * count[stack]
    return lambda _: True


def _stack(rows: Any) -> tuple[Frame, ...]:
    return tuple(Frame(*row) for row in rows)


def _native(rows: Any) -> str:
    """The nearest native frames that have a name, as far as the library that allocated."""
    named = [f"{name} ({Path(file).name})" for file, _, name in rows if name and name != "???"]
    return "native: " + " < ".join(named[:4]) if named else ""

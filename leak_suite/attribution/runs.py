"""Fresh traced runs of a subject, and what their tracers wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from leak_suite.attribution import tracer
from leak_suite.attribution.ownership import Ownership
from leak_suite.attribution.sites import Amount, Frame
from leak_suite.errors import SubjectError
from leak_suite.subject import InProcessSpec, Round, Spec, Trace, open_subject

__all__ = ["Launch", "Record", "TracedSubject", "Tracer", "launch"]

_NO_GUARD = 1e9
_PATIENCE = 60.0


class TracedSubject(Protocol):
    """A running subject with the tracer inside."""

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """Repeat the workload."""
        ...

    def stop_trace(self) -> None:
        """Have the tracer write what it recorded."""
        ...


Launch = Callable[[Trace], AbstractContextManager[TracedSubject]]


class InThisProcess:
    """A callable of this very process: the tracer starts anew for each run, the process does not.

    Traces of n and 2n iterations still differ by what an iteration leaves behind: what a full
    cache holds was made in its last turnover, in the shorter trace as in the longer one.
    """

    def __init__(self, spec: InProcessSpec, trace: Trace) -> None:
        self._subject = open_subject(spec)
        self._trace = trace

    def __enter__(self) -> TracedSubject:
        self._subject.__enter__()
        try:
            tracer.start(self._trace.kind, self._trace.output, self._trace.native)
        except BaseException:
            self._subject.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            tracer.stop()
        finally:
            self._subject.__exit__(*exc)

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """See `TracedSubject.round`."""
        return self._subject.round(iterations, seconds=seconds, scale=scale, patience=patience)

    def stop_trace(self) -> None:
        """See `TracedSubject.stop_trace`."""
        tracer.stop()


def launch(spec: Spec, trace: Trace) -> AbstractContextManager[TracedSubject]:
    """The subject of `spec`, to be traced; a fresh process wherever the spec can start one."""
    if isinstance(spec, InProcessSpec):
        return InThisProcess(spec, trace)
    # The agent reads every counter once the subject is there: the tracer begins by that.
    subject = open_subject(spec, trace=trace, counters={"trace": "_leak_suite_tracer:begin"})
    return cast("AbstractContextManager[TracedSubject]", subject)


@dataclass(frozen=True)
class Record:
    """What one traced run left: how long it was, and the tracer's data.

    `age` counts all iterations that its process had seen by the end; `seconds` went into the
    workload, `overhead` into starting, warming up and reading.
    """

    iterations: int
    age: int
    seconds: float
    overhead: float
    data: Mapping[str, Any]
    owner: Ownership = field(compare=False)

    @property
    def kind(self) -> str:
        """What really traced the allocations."""
        return str(self.data["kind"])

    def allocations(self, unit: str, *, heap_only: bool = False) -> tuple[Amount, ...]:
        """Live allocations as "bytes" or as "count" of Python's blocks.

        `heap_only` leaves out what pymalloc serves from its arenas: malloc never sees it.
        """
        rows = self.data["records"]
        if unit == "count":
            rows = [row for row in rows if row["python"]]
        if heap_only:
            rows = [row for row in rows if not _small(row)]
        return tuple(
            Amount(
                row[unit],
                _stack(row["stack"]),
                detail=_native(row.get("native", ())),
                weight=row["bytes"],
            )
            for row in rows
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
    """Starts runs of one subject, each in a process of its own, in the folder `folder`."""

    def __init__(
        self,
        launch: Launch,
        folder: Path,
        warm_up: int,
        plan: Mapping[str, Any],
        *,
        same_process: bool,
    ) -> None:
        self._launch = launch
        self._same_process = same_process
        self._age = 0
        self._folder = folder
        self._warm_up = warm_up
        self._plan = plan
        self._runs = 0

    def run(
        self,
        kind: str,
        iterations: int,
        *,
        seconds: float,
        native: bool = False,
        holders: bool = True,
    ) -> Record:
        """Warm up, then up to `iterations` in up to `seconds` (but one at least).

        The first run's warm-up ends after `seconds` too; the others are as long as that one.
        """
        self._runs += 1
        plan = {**self._plan, "wait": not self._same_process}
        plan["holders"] = holders and plan.get("holders", False)
        output = self._folder / f"{self._runs}-{kind}.bin"
        Path(f"{output}.plan").write_text(json.dumps(plan), encoding="utf-8")
        begun = time.monotonic()
        with self._launch(Trace(kind, output, native)) as subject:
            subject.round(0, seconds=0.0)
            limit = seconds if self._runs == 1 else _PATIENCE
            self._warm_up = warmed = _repeat(subject, self._warm_up, seconds=limit)
            started = time.monotonic()
            done = _repeat(subject, iterations, seconds=seconds)
            spent = time.monotonic() - started
            subject.stop_trace()
        data = _read(Path(f"{output}.json"))
        facts = data["ownership"]
        owner = Ownership(facts["names"], facts["libraries"], facts["machinery"])
        self._age = warmed + done + (self._age if self._same_process else 0)
        overhead = time.monotonic() - begun - spent
        return Record(done, self._age, spent, overhead, data, owner)


def _repeat(subject: TracedSubject, iterations: int, *, seconds: float) -> int:
    if iterations < 1:
        return 0
    done = subject.round(iterations, seconds=seconds, scale=_NO_GUARD, patience=seconds + _PATIENCE)
    if done.error is not None and not done.done:
        raise SubjectError(f"the workload failed while it was traced: {done.error}")
    return done.done


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        raise SubjectError(f"the tracer left no record: {error}") from error
    return data


def _small(row: Mapping[str, Any]) -> bool:
    return bool(row["python"]) and row["bytes"] <= 512 * row["count"]


def _stack(rows: Any) -> tuple[Frame, ...]:
    return tuple(Frame(*row) for row in rows)


def _native(rows: Any) -> str:
    """The nearest native frames that have a name, as far as the library that allocated."""
    named = [f"{name} ({Path(file).name})" for file, _, name in rows if name and name != "???"]
    return "native: " + " < ".join(named[:4]) if named else ""

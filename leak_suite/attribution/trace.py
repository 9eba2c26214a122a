"""What the agent's trace of two windows says, as amounts by stack. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from leak_suite.subject.trace_data import ContainerRow, TraceAnswer

__all__ = ["Container", "Stack", "StackTotal", "Trace", "TraceFrame"]


class TraceFrame(NamedTuple):
    """One call. `owner` is "" for the subject's own code, else the library's package.

    `function` is empty where the tracer did not know it.
    """

    file: str
    line: int
    function: str
    owner: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is the subject's own code."""
        return not self.owner

    @property
    def place(self) -> str:
        """As an editor or a terminal understands it."""
        return f"{self.file}:{self.line}"


Stack = tuple[TraceFrame, ...]
"""Innermost call first, without the frames of what measures."""

INSTRUMENTATION, TRACING = "-", "--"
"""The owners that the agent gives to its own frames: to those that drive, to those that trace."""
CACHE_MARK = "(its cache)"
"""What a path says of the cache that `functools` keeps around a function."""
INTERPRETER = "<"
"""The owner of frozen modules: how the interpreter starts and imports."""


class StackTotal(NamedTuple):
    """What one stack left in both windows, in the finding's unit.

    `weight` (bytes, where they are known) decides between lines of which as many grow; `holder` is
    the path to what keeps it, `allocations` how many there were in the first window.
    """

    first: float
    second: float
    stack: Stack
    kind: str = ""
    detail: str = ""
    weight: float = 0.0
    holder: str = ""
    allocations: float | None = None


@dataclass(frozen=True)
class Container:
    """Something with a length that grew in both windows.

    `made` lists what an average new item is made of, by stack; `inserting` are the stacks that
    made it longer, as far as that was seen, with their shares of the insertions; `entry_bytes` is
    what one more item takes in the container itself. `bound` are the most items that `bounded_by`
    allows, `emptied` places of code that empties it at times. `also` are others that hold the
    same items, which count for this one.
    """

    path: str
    own: bool
    type: str
    length: int
    bound: int | None
    per_iteration: float
    steady: bool
    entry_bytes: float
    inserting: tuple[tuple[Stack, float], ...]
    made: tuple[ItemPart, ...] = ()
    bounded_by: str = ""
    emptied: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def inserted_by_own_code(self) -> bool:
        """Whether own lines put the items in: not a library, nor a cache around a function."""
        lines = [stack[0] for stack, _ in self.inserting if stack]
        return bool(lines) and lines[0].is_own and CACHE_MARK not in self.path

    def __str__(self) -> str:
        bound = "" if self.bound is None else f", {self.length} of {self.bound}"
        also = "".join(f", and by {path}" for path in self.also)
        return f"{self.path} ({self.type}, {self.per_iteration:.3g} per iteration{bound}){also}"


class ItemPart(NamedTuple):
    """Objects of one type that a new item is made of: how much of them, for one item.

    `large` are the bytes that the C library's heap holds: not those of pymalloc's arenas.
    """

    stack: Stack | None
    type: str
    bytes: float
    large: float
    blocks: float
    objects: float


@dataclass(frozen=True)
class Trace:
    """The agent's answer, and the iterations of its windows.

    Of `process` the agent traced one that had this `share` of the growth of its group: so many of
    the workload's iterations count for it.
    """

    first_iterations: int
    second_iterations: int
    data: TraceAnswer = field(repr=False)
    process: str = ""
    share: float = 1.0

    @property
    def first(self) -> float:
        """Iterations of the first window that count for this process."""
        return self.first_iterations * self.share

    @property
    def second(self) -> float:
        """Iterations of the second window that count for this process."""
        return self.second_iterations * self.share

    @property
    def iterations(self) -> float:
        """Both windows together."""
        return self.first + self.second

    @property
    def tool(self) -> str:
        """What recorded the allocations: "memray", "tracemalloc" or "none"."""
        return str(self.data["tool"])

    @property
    def note(self) -> str:
        """What the tracer could not do."""
        return str(self.data.get("note", ""))

    def survivors(
        self, unit: Literal["bytes", "count"], visible: Callable[[str], bool]
    ) -> list[StackTotal]:
        """Allocations that are alive at the end, of the kinds that are `visible`, by stack."""
        # Where the windows could not be told apart all stands in the first one.
        part = 1.0 if self.data["exact"] else self.first / self.iterations
        return [
            StackTotal(
                part * row[unit][0],
                row[unit][1] + (1 - part) * row[unit][0],
                self._stack(row["stack"]),
                kind=row["kind"] if row["kind"] == "mapped" else "",
                detail=_native(row["native"]),
                weight=part * row["bytes"][0],
                allocations=part * row["count"][0],
            )
            for row in self.data["rows"]
            if visible(row["kind"]) and not self._is_instrumentation(row["stack"])
        ]

    def charges(self) -> list[StackTotal]:
        """What the C library's heap grew by while own lines ran, by stack."""
        return [
            StackTotal(row["bytes"][0], row["bytes"][1], self._stack(row["stack"]))
            for row in self.data.get("heap", ())
        ]

    def objects(self, class_name: str = "") -> list[StackTotal]:
        """Objects that are alive at the end, of all types or of the classes of that name."""
        return [
            StackTotal(
                row["count"][0],
                row["count"][1],
                self._stack(row["stack"]),
                kind=row["type"],
                holder=row["path"],
            )
            for row in self.data["objects"]
            if _is_class(row["type"], class_name) and not self._is_instrumentation(row["stack"])
        ]

    def origins(self, watch: str) -> list[StackTotal]:
        """What is open, each thing for itself, with the stack that opened it."""
        return [
            StackTotal(
                row["window"] == 1,
                row["window"] == 2,
                () if row["stack"] is None else self._stack(row["stack"]),
                detail=f"for example {row['what']}",
            )
            for row in self.data["origins"].get(watch, ())
        ]

    def containers(self) -> list[Container]:
        """Containers that grew, those with an own name first."""
        return [self._container(row) for row in self.data["containers"]]

    def _container(self, row: ContainerRow) -> Container:
        first, second = row["grown"]
        sampled = max(1, row["sampled"])
        return Container(
            path=row["path"],
            own=row["own"],
            type=row["type"],
            length=row["length"],
            bound=row["bound"],
            bounded_by=row["bounded_by"],
            emptied=tuple(row["emptied"]),
            also=tuple(row["also"]),
            per_iteration=(first + second) / self.iterations,
            steady=_steady(first, self.first, second, self.second),
            entry_bytes=row["entry"],
            inserting=self._inserting(row["inserted"]),
            made=tuple(
                ItemPart(
                    None if part["stack"] is None else self._stack(part["stack"]),
                    part["type"],
                    part["bytes"] / sampled,
                    part["large"] / sampled,
                    part["blocks"] / sampled,
                    part["objects"] / sampled,
                )
                for part in row["made"]
                if part["stack"] is None or not self._is_instrumentation(part["stack"])
            ),
        )

    def _inserting(self, rows: Sequence[tuple[int, int]]) -> tuple[tuple[Stack, float], ...]:
        total = sum(count for _, count in rows)
        return tuple((self._stack(index), count / total) for index, count in rows)

    def _stack(self, index: int) -> Stack:
        frames = [TraceFrame(*frame) for frame in self.data["stacks"][index]]
        return tuple(frame for frame in frames if frame.owner not in (INSTRUMENTATION, TRACING))

    def _is_instrumentation(self, index: int) -> bool:
        """Whether what measures did it: tracing called it, or it was the innermost frame."""
        frames = self.data["stacks"][index]
        owners = [frame[3] for frame in frames]
        if TRACING in owners:
            return True
        # What the workload does is called by the instrumentation too, but through other code.
        while owners and owners[-1] in (INSTRUMENTATION, INTERPRETER):
            owners.pop()
        return bool(frames) and (not owners or owners[0] == INSTRUMENTATION)


def _steady(first: float, iterations: float, second: float, later: float) -> bool:
    """Whether growth went on at about the same pace."""
    return first > 0 and second / later >= STEADY_SHARE * first / iterations


STEADY_SHARE = 0.25
"""What the second window must show of the first one's growth for it to count as steady."""


def _is_class(name: str, wanted: str) -> bool:
    return not wanted or name.rpartition(".")[2] == wanted


def _native(rows: Sequence[Sequence[str]]) -> str:
    """The nearest native frames that have a name, as far as the library that allocated."""
    named = []
    for name, file in rows:
        if name and name not in _UNKNOWN:
            short = name.partition("(")[0][:LONGEST_NAME]
            named.append(short if file in _UNKNOWN else f"{short} ({Path(file).name})")
    return "native: " + " < ".join(named[:MOST_NATIVE]) if named else ""


MOST_NATIVE, LONGEST_NAME = 4, 80
_UNKNOWN = ("", "???", "<unknown>")

"""From recordings to stacks, to sites, and to the difference of two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from leak_suite.errors import LeakSuiteError
from leak_suite.flamegraph.record import RecordingFile
from leak_suite.subject.agent_code import agent_module

__all__ = [
    "Difference",
    "GraphFrame",
    "LineBytes",
    "between",
    "growth",
    "sites",
    "stacks",
    "stacks_of_all",
]

_FRAMES = 200
"""Asked for without a number, memray leaves out as many as were there when tracing began."""
_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/")


class GraphFrame(NamedTuple):
    """One call; `place` is "file:line". Two recordings match by `key`, which leaves out lines."""

    function: str
    file: str
    line: int
    own: bool

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same where code above it moved, or the checkout lies elsewhere."""
        return self.function, self.file

    @property
    def place(self) -> str:
        """As an editor or a terminal understands it."""
        return f"{self.file}:{self.line}"


Stack = tuple[GraphFrame, ...]
"""Outermost call first."""


class LineBytes(NamedTuple):
    """A line, and the bytes that it holds."""

    frame: GraphFrame
    bytes: float


def stacks(recording: RecordingFile, file: Path | None = None) -> dict[Stack, float]:
    """Bytes by stack: left behind, or at the peak, as the recording's mode says."""
    from memray import FileReader

    own = agent_module("tracing.ownership").Ownership(
        recording.names, recording.libraries or None, recording.instrumentation or None
    )
    found: defaultdict[Stack, float] = defaultdict(float)
    try:
        with FileReader(file or recording.file) as reader:
            records = (
                reader.get_leaked_allocation_records(merge_threads=True)
                if recording.mode == "leaks"
                else reader.get_high_watermark_allocation_records(merge_threads=True)
            )
            for item in records:
                called = item.stack_trace(_FRAMES)
                rows = [row for row in called if not own.is_instrumentation(row[1])]
                stack = [_frame(row, own, recording.root) for row in reversed(rows)]
                while stack and stack[0].file.startswith("<"):
                    stack.pop(0)  # the interpreter's own way of starting a program
                if called and not stack:
                    continue  # what starting and ending the recording took
                found[tuple(stack)] += item.size
    except (OSError, RuntimeError) as error:
        raise LeakSuiteError(f"{file or recording.file} cannot be read: {error}") from error
    return dict(found)


def stacks_of_all(recording: RecordingFile) -> dict[Stack, float]:
    """The same, summed over all processes that were recorded."""
    found: defaultdict[Stack, float] = defaultdict(float)
    for _, file in recording.pages():
        for stack, size in stacks(recording, file).items():
            found[stack] += size
    return dict(found)


def _frame(row: tuple[str, str, int], own: Any, root: str) -> GraphFrame:
    function, file, line = row
    is_own = own.is_own(file)
    if root and file.startswith(root.rstrip("/") + "/"):
        return GraphFrame(function, file[len(root.rstrip("/")) + 1 :], line, is_own)
    for folder in (*_LIBRARY_FOLDERS, *own.libraries):
        _, found, rest = file.partition(folder)
        if found:
            return GraphFrame(function, rest, line, is_own)
    return GraphFrame(function, file, line, is_own)


def sites(found: Mapping[Stack, float], most: int = 10) -> tuple[LineBytes, ...]:
    """The lines that hold most: of each stack the innermost own one, else the innermost."""
    held: defaultdict[GraphFrame | None, float] = defaultdict(float)
    for stack, size in found.items():
        held[_site(stack)] += size
    ranked = sorted(held.items(), key=lambda item: -item[1])
    return tuple(LineBytes(frame, size) for frame, size in ranked if frame and size > 0)[:most]


def _site(stack: Stack) -> GraphFrame | None:
    return next((frame for frame in reversed(stack) if frame.own), stack[-1] if stack else None)


@dataclass(frozen=True)
class Difference:
    """What stacks hold in base and in head. `unit` says what the numbers are."""

    title: str
    unit: str
    stacks: Mapping[Stack, tuple[float, float]]

    def grown(self, most: int = 20) -> tuple[LineBytes, ...]:
        """The lines that hold more in head, most first."""
        return sites({stack: head - base for stack, (base, head) in self.stacks.items()}, most)


def between(base: RecordingFile, head: RecordingFile) -> Difference:
    """Two versions: what is left behind by an iteration, or what is there at the peak."""
    if base.mode != head.mode:
        raise LeakSuiteError(
            f"{base.file} shows {base.mode} and {head.file} {head.mode}; record both alike"
        )
    each = base.mode == "leaks"
    sides = [
        {stack: size / (side.iterations if each else 1) for stack, size in stacks(side).items()}
        for side in (base, head)
    ]
    unit = "bytes per iteration" if each else "bytes"
    return Difference(f"{base.file.name} against {head.file.name}", unit, _matched(*sides))


def growth(short: RecordingFile, long: RecordingFile) -> Difference:
    """One version, n and 2n iterations: what each iteration after the first n adds."""
    span = long.iterations - short.iterations
    if span <= 0:
        raise LeakSuiteError("growth needs a second recording of more iterations than the first")
    sides = [
        {stack: size / span for stack, size in stacks_of_all(side).items()}
        for side in (short, long)
    ]
    title = f"{long.subject}: {short.iterations} against {long.iterations} iterations"
    return Difference(title, "bytes per iteration", _matched(*sides))


def _matched(
    base: Mapping[Stack, float], head: Mapping[Stack, float]
) -> dict[Stack, tuple[float, float]]:
    """Joined by function and file, so that code that only moved has not changed."""
    shown: dict[tuple[tuple[str, str], ...], Stack] = {}
    sums: list[defaultdict[tuple[tuple[str, str], ...], float]] = []
    for side in (head, base):  # lines are those of head
        total: defaultdict[tuple[tuple[str, str], ...], float] = defaultdict(float)
        for stack, size in _heaviest_first(side.items()):
            key = tuple(frame.key for frame in stack)
            shown.setdefault(key, stack)
            total[key] += size
        sums.append(total)
    heads, bases = sums
    return {stack: (bases[key], heads[key]) for key, stack in shown.items()}


def _heaviest_first(items: Iterable[tuple[Stack, float]]) -> Sequence[tuple[Stack, float]]:
    return sorted(items, key=lambda item: -item[1])

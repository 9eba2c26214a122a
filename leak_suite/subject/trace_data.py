"""What a trace is asked for, and what it answers: the plain data that goes over the wire.

The agent makes and reads it as dicts; its `Tracing` says what each part means.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = [
    "ContainerRow",
    "OwnershipData",
    "TraceAnswer",
    "TracePlan",
    "TraceStart",
]

Windows = tuple[float, float]
"""What the first and the second window left."""


class TracePlan(TypedDict, total=False):
    """What is traced, by what, and where it is written; what is left out is not done.

    `metric` decides in which process of a group; the agent does not read it.
    """

    allocations: str
    native: bool
    every: bool
    python_allocators: bool
    output: str
    memray_path: str
    own: list[str]
    containers: bool
    watch: list[str]
    heap: bool
    objects: bool
    iterations: int
    metric: str


class TraceStart(TypedDict, total=False):
    """What records, and what it cannot do.

    Of one process of several: its process id, and its `share` of the group's growth so far.
    """

    tool: str
    note: str
    share: float
    pid: int


class AllocationRow(TypedDict):
    """Memory of one stack that is alive at the end; `native` are (function, library) pairs."""

    stack: int
    kind: str
    native: list[tuple[str, str]]
    bytes: Windows
    count: Windows


class ChargeRow(TypedDict):
    """What the C library's heap grew by under one stack."""

    stack: int
    bytes: Windows


class ObjectRow(TypedDict):
    """Objects of one type and stack that are alive at the end; `path` holds one of them."""

    type: str
    stack: int
    count: Windows
    path: str


class OriginRow(TypedDict):
    """One thing that is open at the end, and the window that it was opened in."""

    window: int
    stack: int | None
    what: str


class ItemRow(TypedDict):
    """What the sampled items of a container were made of, summed up, by where they were made."""

    stack: int | None
    type: str
    bytes: float
    large: float
    blocks: float
    objects: float


class ContainerRow(TypedDict):
    """A container that got longer in both windows, with its path and the lines that insert."""

    path: str
    own: bool
    type: str
    length: int
    bound: int | None
    bounded_by: str
    emptied: list[str]
    also: list[str]
    grown: Windows
    entry: float
    inserted: list[tuple[int, int]]
    made: list[ItemRow]
    sampled: int


class OwnershipData(TypedDict):
    """By which files the subject's own code is told from the others'."""

    names: list[str]
    libraries: list[str]
    instrumentation: list[str]


class _TraceAnswer(TypedDict):
    tool: str
    exact: bool
    stacks: list[list[tuple[str, int, str, str]]]
    rows: list[AllocationRow]
    containers: list[ContainerRow]
    objects: list[ObjectRow]
    origins: dict[str, list[OriginRow]]
    ownership: OwnershipData


class TraceAnswer(_TraceAnswer, total=False):
    """What both windows left.

    A stack is a number in `stacks`, which hold frames of (file, line, function, owner), innermost
    first. Of one process of several `others` is what the rest of its group grew by meanwhile.
    """

    note: str
    heap: list[ChargeRow]
    seconds: float
    others: float | None

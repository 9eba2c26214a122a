"""What the kernel says about memory: of a process tree, and of the limit that it lives under."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limit", "Usage", "container_limit", "process_tree", "usage_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
# Kernels without a limit write the largest page-aligned number; no machine has this much.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Usage:
    """Proportional and plain resident memory of some processes, summed."""

    pss: int = 0
    rss: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.pss + other.pss, self.rss + other.rss)


@dataclass(frozen=True)
class Limit:
    """How much memory may be used, and who says so."""

    bytes: int
    source: str


def process_tree(root: int) -> set[int]:
    """`root` and all that descend from it, as far as they are still alive."""
    found: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(_children(pid))
    return found


def usage_of(pids: Iterable[int]) -> dict[int, Usage]:
    """The memory of each process; one that is gone by now is left out."""
    found = {pid: _usage(pid) for pid in pids}
    return {pid: usage for pid, usage in found.items() if usage is not None}


def container_limit(proc: Path = Path("/proc/self")) -> Limit | None:
    """The tightest limit of the control groups around this process, version 2 or 1."""
    memberships = _memberships(proc / "cgroup")
    found: list[Limit] = []
    for kind, root, mount in _mounts(proc / "mountinfo"):
        if kind not in memberships:
            continue
        name, source = (
            ("memory.max", "cgroup v2")
            if kind == ""
            else (
                "memory.limit_in_bytes",
                "cgroup v1",
            )
        )
        for folder in _folders(mount, root, memberships[kind]):
            value = _number(folder / name)
            if value is not None and value < _UNLIMITED:
                found.append(Limit(value, source))
    return min(found, key=lambda limit: limit.bytes, default=None)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.extend(map(int, (task / "children").read_text().split()))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _usage(pid: int) -> Usage | None:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return _resident(pid)
    sizes = {"Pss:": 0, "Rss:": 0}
    for line in text.splitlines()[1:]:
        name, value = line.split()[:2]
        if name in sizes:
            sizes[name] = int(value) * 1024
    return Usage(sizes["Pss:"], sizes["Rss:"])


def _resident(pid: int) -> Usage | None:
    """Where the kernel keeps no proportional figure, the plain one stands in: never too small."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return Usage(pages * _PAGE, pages * _PAGE) if pages else None


def _memberships(path: Path) -> dict[str, str]:
    """Which group this process is in: "memory" for version 1, "" for version 2."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            found["" if controllers == "" else "memory"] = group
    return found


def _mounts(path: Path) -> list[tuple[str, str, Path]]:
    found: list[tuple[str, str, Path]] = []
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, (kind, *_, options) = before.split(), after.split()
        if kind == "cgroup2":
            found.append(("", fields[3], Path(fields[4])))
        elif kind == "cgroup" and "memory" in options.split(","):
            found.append(("memory", fields[3], Path(fields[4])))
    return found


def _folders(mount: Path, root: str, group: str) -> list[Path]:
    """The group's folder and those above it, up to the mount; inside a container, the mount."""
    inside = group[len(root) :] if root != "/" and group.startswith(root) else group
    leaf = mount / inside.strip("/")
    if ".." in leaf.parts or not leaf.is_dir():
        return [mount]
    return [leaf, *(parent for parent in leaf.parents if parent.is_relative_to(mount))]


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None

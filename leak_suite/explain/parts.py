"""Reads what the memory of a tree of processes is made of, each byte once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from leak_suite.explain.fork_copies import Inherited
from leak_suite.metrics.process_tree import proc_bytes
from leak_suite.subject import ProcessComposition

__all__ = ["PartsReader", "ProcessParts", "split"]

_ORDER = (
    ("python_used", "python_used"),
    ("native_used", "malloc_used"),
    ("python_kept", "python_kept"),
    ("arenas_kept", "malloc_kept"),
)
"""(part, figure of the agent): what is in use is there for certain; of what was freed the kernel
may have got some back, so that it is given what is left."""

ProcessParts = Mapping[str, float]


class PartsReader:
    """Readings of one subject, one after the other; it remembers how each forked process began."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._inherited: dict[int, Inherited] = {}
        self._first: dict[int, Mapping[str, int | None]] = {}
        self.notes: set[str] = set()
        self.foreign_allocator = False

    def read(
        self, processes: Mapping[int, ProcessComposition]
    ) -> tuple[dict[str, float], dict[str, float], int, float]:
        """Of all `processes`: (bytes by part, copied bytes by process, arenas, highest resident).

        The last adds up the highest resident memory that each of them had.
        """
        total: Counter[str] = Counter()
        copies: dict[str, float] = {}
        arenas, peak = 0, 0.0
        for pid, process in processes.items():
            parts = self._parts(pid, process, forked=self._is_forked(process, processes))
            for name, value in parts.items():
                total[name] += int(value)
            if "copies" in parts:
                copies[f"{process.group} (pid {pid})"] = parts["copies"]
            arenas += process.inside.get("arenas") or 0
            peak += proc_bytes(_text(self._proc / str(pid) / "status"), "VmHWM") or 0.0
        return dict(total), copies, arenas, peak

    def _is_forked(
        self, process: ProcessComposition, processes: Mapping[int, ProcessComposition]
    ) -> bool:
        return process.group.startswith("forked from ") and process.parent in processes

    def _parts(self, pid: int, process: ProcessComposition, *, forked: bool) -> ProcessParts:
        status = _text(self._proc / str(pid) / "status")
        rollup = _text(self._proc / str(pid) / "smaps_rollup")
        if not status:
            return {}
        parts = {
            "files": _either(rollup, "Pss_File", status, "RssFile"),
            "shared": _either(rollup, "Pss_Shmem", status, "RssShmem"),
        }
        if not process.inside:
            self.notes.add(f"{process.group}: no agent, so its allocators are not told apart")
        elif process.inside.get("malloc_used") is None:
            self.foreign_allocator = True
            self.notes.add(
                f"{process.group}: not the C library's malloc, so its memory is not told apart"
            )
        if not forked:
            anonymous = proc_bytes(status, "RssAnon") or 0.0
            return {**parts, **split(anonymous, process.inside)}
        if pid not in self._inherited:
            self._inherited[pid] = Inherited(process.parent, self._proc)
            self._first[pid] = process.inside
        copied = self._inherited[pid].copied(pid)
        own = proc_bytes(rollup, "Private_Dirty") or 0.0
        if copied is None:
            self.notes.add(f"{process.group}: the kernel does not tell which pages were copied")
            return {**parts, **split(own, self._since(pid, process.inside))}
        copied_bytes = min(float(copied), own)
        rest = split(own - copied_bytes, self._since(pid, process.inside))
        return {**parts, "copies": copied_bytes, **rest}

    def _since(self, pid: int, inside: Mapping[str, int | None]) -> Mapping[str, int | None]:
        """What the process took for itself since it was first seen: the rest is its parent's."""
        first = self._first[pid]
        return {
            name: None if value is None else max(0, value - (first.get(name) or 0))
            for name, value in inside.items()
        }


def split(anonymous: float, inside: Mapping[str, int | None]) -> dict[str, float]:
    """The anonymous bytes of a process by part, which add up to `anonymous`."""
    left, parts = anonymous, {}
    for part, figure in _ORDER:
        value = min(left, float(inside.get(figure) or 0))
        parts[part] = value
        left -= value
    return {**parts, "other_anon": left}


def _either(rollup: str, first: str, status: str, second: str) -> float:
    """Proportional where the kernel reports it (since 5.4); else all that is resident."""
    found = proc_bytes(rollup, first)
    return (proc_bytes(status, second) or 0.0) if found is None else found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

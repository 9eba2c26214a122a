"""Sample a group ten times a second: its memory, the peak of it, and processes that disappear."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leak_suite.fit.cgroup import CgroupStats, MemoryCgroup
from leak_suite.fit.result import KilledProcess, Peak
from leak_suite.service_process import ServiceProcess

__all__ = ["UsageSample", "UsageSampler"]

_PAUSE_SECONDS = 0.1
_PSS_SECONDS = 1.0
_MAPS_SECONDS = 2.0
_COMMAND_LENGTH = 90


@dataclass(frozen=True)
class UsageSample:
    """One reading in bytes; `done` iterations were finished by then. PSS is read more rarely."""

    done: int
    seconds: float
    anon: int | None
    file: int | None
    kernel: int | None
    pss: int | None


@dataclass
class _Process:
    command: str
    anon: int = 0


class UsageSampler:
    """A thread beside the trial. After `close` everything that it saw can be read."""

    def __init__(
        self, cgroup: MemoryCgroup, server: ServiceProcess, done: Callable[[], int]
    ) -> None:
        self.samples: list[UsageSample] = []
        self.peak = Peak()
        self.killed: list[KilledProcess] = []
        self.files: set[str] = set()
        self.last = cgroup.stats()
        self._cgroup = cgroup
        self._server = server
        self._done = done
        self._known: dict[int, _Process] = {}
        self._gone: dict[int, _Process] = {}
        self._next_pss = self._next_maps = 0.0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fit-sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take a last sample, and stop."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            self.sample()

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Take a sample now; the thread does so ten times a second."""
        pids = self._cgroup.pids() or self._tree()
        self._track_processes(pids)
        # Read after the processes: a kill is counted before its process is gone, so whoever was
        # found gone for another reason is known as such.
        stats = self._cgroup.stats()
        self._attribute_kills((stats.oom_kills or 0) - len(self.killed))
        self.last = stats if stats.anon is not None else self.last
        now = time.monotonic()
        pss = None
        if now >= self._next_pss:
            self._next_pss = now + _PSS_SECONDS
            pss = _pss_of(pids)
        if now >= self._next_maps:
            self._next_maps = now + _MAPS_SECONDS
            for pid in pids:
                self.files |= _mapped(pid)
        self._record(stats, pss, now - self._began)

    def _tree(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._server.tree.processes())

    def _record(self, stats: CgroupStats, pss: int | None, seconds: float) -> None:
        self.samples.append(
            UsageSample(self._done(), seconds, stats.anon, stats.file, stats.kernel, pss)
        )
        old = self.peak
        self.peak = Peak(
            anon=_higher(old.anon, stats.anon),
            file=_higher(old.file, stats.file),
            kernel=_higher(old.kernel, stats.kernel),
            unreclaimable=_higher(old.unreclaimable, stats.unreclaimable),
            pss=_higher(old.pss, pss),
        )

    def _track_processes(self, pids: tuple[int, ...]) -> None:
        living: dict[int, _Process] = {}
        for pid in pids:
            anon = _anon_of(pid)
            if anon is None:
                continue
            known = self._known.get(pid) or _Process("?")
            # Read each time: after a fork it is the parent's, and a process that ends has none.
            known.command = _command_of(pid) or known.command
            known.anon = anon
            living[pid] = known
        self._gone.update({pid: k for pid, k in self._known.items() if pid not in living})
        self._known = living

    def _attribute_kills(self, kills: int) -> None:
        """The kernel counts its kills but names nobody: the biggest of those that just vanished."""
        while kills > 0 and self._gone:
            pid = max(self._gone, key=lambda one: self._gone[one].anon)
            known = self._gone.pop(pid)
            self.killed.append(
                KilledProcess(pid, known.command, pid == self._server.pid, known.anon)
            )
            kills -= 1
        if kills <= 0:
            self._gone.clear()


def _higher(old: int | None, new: int | None) -> int | None:
    return new if old is None else old if new is None else max(old, new)


def _anon_of(pid: int) -> int | None:
    """Anonymous bytes; None once it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return None


def _command_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    text = " ".join(word.decode("utf-8", "replace") for word in words if word)
    return text if len(text) <= _COMMAND_LENGTH else text[: _COMMAND_LENGTH - 1] + "…"


def _pss_of(pids: tuple[int, ...]) -> int | None:
    total = None
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            line = next((line for line in text.splitlines() if line.startswith("Pss:")), None)
            if line is not None:
                total = (total or 0) + int(line.split()[1]) * 1024
    return total


def _mapped(pid: int) -> set[str]:
    """The files that a process has in its address space."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    found = (line.split(maxsplit=5) for line in lines)
    return {words[5] for words in found if len(words) == 6 and words[5].startswith("/")}

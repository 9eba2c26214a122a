"""Looks at a group ten times a second: what it holds, at its peak, and who in it disappears."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leak_suite.fit.groups import Books, Group
from leak_suite.service_process import ServiceProcess

__all__ = ["Killed", "Peak", "Sample", "Watch"]

_PAUSE_SECONDS = 0.1
_PSS_SECONDS = 1.0
_MAPS_SECONDS = 2.0
_COMMAND = 90


@dataclass(frozen=True)
class Sample:
    """One look; `done` iterations were finished by then. PSS is read more rarely."""

    done: int
    seconds: float
    anon: int | None
    file: int | None
    kernel: int | None
    pss: int | None


@dataclass(frozen=True)
class Peak:
    """The highest values seen, each for itself; `held` is of the sum that cannot be dropped."""

    anon: int | None = None
    file: int | None = None
    kernel: int | None = None
    held: int | None = None
    pss: int | None = None


@dataclass(frozen=True)
class Killed:
    """A process that the kernel killed: the server itself, or one of its children."""

    pid: int
    command: str
    is_server: bool
    anon: int


@dataclass
class _Known:
    command: str
    anon: int = 0


class Watch:
    """A thread beside the trial. `close` ends it; then everything it saw can be read."""

    def __init__(self, group: Group, server: ServiceProcess, done: Callable[[], int]) -> None:
        self.samples: list[Sample] = []
        self.peak = Peak()
        self.killed: list[Killed] = []
        self.files: set[str] = set()
        self.last = group.books()
        self._group = group
        self._server = server
        self._done = done
        self._known: dict[int, _Known] = {}
        self._gone: dict[int, _Known] = {}
        self._next_pss = self._next_maps = 0.0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fit-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look once more, and stop."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            self._look()

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_SECONDS):
            self._look()

    def _look(self) -> None:
        books = self._group.books()
        pids = self._group.pids() or self._tree()
        self._note(pids)
        self._blame((books.oom_kills or 0) - len(self.killed))
        self.last = books if books.anon is not None else self.last
        now = time.monotonic()
        pss = None
        if now >= self._next_pss:
            self._next_pss = now + _PSS_SECONDS
            pss = _pss_of(pids)
        if now >= self._next_maps:
            self._next_maps = now + _MAPS_SECONDS
            for pid in pids:
                self.files |= _mapped(pid)
        self._keep(books, pss, now - self._began)

    def _tree(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._server.tree.processes())

    def _keep(self, books: Books, pss: int | None, seconds: float) -> None:
        self.samples.append(
            Sample(self._done(), seconds, books.anon, books.file, books.kernel, pss)
        )
        old = self.peak
        self.peak = Peak(
            anon=_higher(old.anon, books.anon),
            file=_higher(old.file, books.file),
            kernel=_higher(old.kernel, books.kernel),
            held=_higher(old.held, books.held),
            pss=_higher(old.pss, pss),
        )

    def _note(self, pids: tuple[int, ...]) -> None:
        living: dict[int, _Known] = {}
        for pid in pids:
            anon = _anon_of(pid)
            if anon is None:
                continue
            known = self._known.get(pid) or _Known(_command_of(pid))
            known.anon = anon
            living[pid] = known
        self._gone.update({pid: k for pid, k in self._known.items() if pid not in living})
        self._known = living

    def _blame(self, kills: int) -> None:
        """The kernel counts its kills but names nobody: the biggest of those that just vanished."""
        while kills > 0 and self._gone:
            pid = max(self._gone, key=lambda one: self._gone[one].anon)
            known = self._gone.pop(pid)
            self.killed.append(Killed(pid, known.command, pid == self._server.pid, known.anon))
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
        return "?"
    text = " ".join(word.decode("utf-8", "replace") for word in words if word)
    return text if len(text) <= _COMMAND else text[: _COMMAND - 1] + "…"


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

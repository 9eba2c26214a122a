"""What /proc reports of this process: memory, descriptors, threads, children."""

from __future__ import annotations

import os

__all__ = ["Proc"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Proc:
    """Reads of one process folder; every figure is None where the system does not tell it."""

    def __init__(self, folder: str = "/proc/self") -> None:
        self._folder = folder
        self._status = folder + "/status"
        self._statm = folder + "/statm"
        self._fds = folder + "/fd"
        self._tasks = folder + "/task"

    def memory(self) -> tuple[int | None, int | None, int | None]:
        """(resident, anonymous resident, high-water resident) in bytes."""
        text = _text(self._status)
        return _kib(text, b"VmRSS:"), _kib(text, b"RssAnon:"), _kib(text, b"VmHWM:")

    def resident(self) -> int | None:
        """Resident bytes, a little behind at times but at a quarter of what `memory` costs."""
        words = _text(self._statm).split()
        return int(words[1]) * _PAGE if len(words) > 1 else None

    def reset_peak(self) -> bool:
        """Start the high-water mark anew; False where the kernel does not let us."""
        try:
            fd = os.open(self._folder + "/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(fd, b"5")
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def fds(self) -> int | None:
        """How many descriptors are open, the one that lists them left out."""
        count = _entries(self._fds)
        return None if count is None else count - 1

    def open_files(self) -> list[tuple[int, str]]:
        """(number, what it stands for) of each open descriptor."""
        found = []
        for name in _names(self._fds):
            try:
                found.append((int(name), os.readlink(self._fds + "/" + name)))
            except OSError:  # noqa: PERF203 - the descriptor of the listing itself
                continue
        return found

    def threads(self) -> int | None:
        """How many threads the system counts."""
        return _entries(self._tasks)

    def thread_names(self) -> list[tuple[int, str]]:
        """(id, name) of each thread."""
        return [
            (int(tid), _text(self._tasks + "/" + tid + "/comm").decode("utf-8", "replace").strip())
            for tid in _names(self._tasks)
        ]

    def child_pids(self) -> list[int] | None:
        """Process ids of the children, those that ended and were not waited for included."""
        pids: list[int] = []
        known = False
        for tid in _names(self._tasks):
            try:
                fd = os.open(self._tasks + "/" + tid + "/children", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                pids += [int(pid) for pid in os.read(fd, 1 << 20).split()]
                known = True
            except OSError:
                continue
            finally:
                os.close(fd)
        return pids if known else None

    def children(self) -> int | None:
        """How many children there are."""
        pids = self.child_pids()
        return None if pids is None else len(pids)


def _text(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 8192)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _kib(text: bytes, key: bytes) -> int | None:
    at = text.find(b"\n" + key)
    if at < 0:
        return None
    return int(text[at + len(key) + 1 : text.index(b"\n", at + 1)].split()[0]) * 1024


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _entries(path: str) -> int | None:
    try:
        return len(os.listdir(path))
    except OSError:
        return None

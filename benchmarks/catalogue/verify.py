"""The proof that a leaky twin leaks and a clean one does not, without the gate.

Each twin is started as a person would start it. After a warm-up its workload is repeated in two
windows, and around them the process tree is read: memory that it wrote alone, descriptors,
threads, processes, temporary files. A leaky twin has to grow in both windows, and by half of the
rate that its case declares over the two; a clean one by less than a quarter of it in the second.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import psutil

from benchmarks.catalogue.case import Case
from benchmarks.catalogue.servers import free_port
from benchmarks.catalogue.start import LEAKY, surroundings

__all__ = ["BrokenCaseError", "Proof", "prove"]

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_SETTLE_SECONDS = 0.4
_REPEAT = Path(__file__).with_name("repeat.py")


class BrokenCaseError(RuntimeError):
    """The case does not run at all."""


@dataclass(frozen=True)
class Proof:
    """What a twin grew by in each call of the first and of the second window."""

    case: str
    twin: str
    kind: str
    declared: float
    first: float
    second: float
    calls: int
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is what its name says."""
        if self.error:
            return False
        if self.twin == LEAKY:
            both = (self.first + self.second) / 2
            return min(self.first, self.second) > 0 and both >= self.declared / 2
        return self.second < self.declared / 4


def prove(case: Case, twin: str) -> Proof:
    """Start the twin, drive it, and see what grows."""
    kind = case.grows[0]
    try:
        with surroundings(case, twin) as (scratch, environment):
            first, second = _windows(case, kind, scratch, environment)
    except (BrokenCaseError, OSError, psutil.Error) as error:
        return Proof(case.name, twin, kind, case.rate, 0.0, 0.0, case.window, str(error)[-1500:])
    return Proof(case.name, twin, kind, case.rate, first, second, case.window)


def _windows(
    case: Case, kind: str, scratch: Path, environment: Mapping[str, str]
) -> tuple[float, float]:
    with _running(case, scratch, environment) as (pid, repeat):
        repeat(case.warm_up or min(case.window, 200))
        levels: list[float] = []
        for _ in range(3):
            if levels:
                repeat(case.window)
            time.sleep(_SETTLE_SECONDS)
            levels.append(_read(kind, pid, scratch / "tmp"))
    first, second = (after - before for before, after in pairwise(levels))
    return first / case.window, second / case.window


@contextmanager
def _running(
    case: Case, scratch: Path, environment: Mapping[str, str]
) -> Iterator[tuple[int, Callable[[int], None]]]:
    """The pid of the subject, and the function that repeats its workload."""
    python, errors = sys.executable, scratch / "repeat.log"
    if case.workload is None:
        with _driver(case, [case.subject[0]], environment, errors) as (process, repeat):
            yield process.pid, repeat
        return
    port = free_port()
    if case.subject[0] == "--app":
        module = case.subject[1].replace(".py", "")
        argv = [python, "-m", "uvicorn", module, "--port", str(port), "--log-level", "warning"]
    else:
        argv = [word.replace("{port}", str(port)) for word in case.subject[1:]]
    log = scratch / "subject.log"
    with log.open("wb") as output:
        subject = subprocess.Popen(
            argv, cwd=case.folder, env=environment, stdout=output, stderr=output
        )
    try:
        if any("{port}" in word for word in case.subject) or case.subject[0] == "--app":
            _wait(subject, log, lambda: _listens(port))
        elif case.options:
            _wait(subject, log, lambda: case.options[1] in log.read_text(errors="replace"))
        words = [case.workload, f"http://127.0.0.1:{port}"]
        try:
            with _driver(case, words, environment, errors) as (_, repeat):
                yield subject.pid, repeat
        except BrokenCaseError as error:
            raise BrokenCaseError(f"{error}\n{log.read_text(errors='replace')[-800:]}") from None
    finally:
        _end(subject.pid)
        subject.wait()


@contextmanager
def _driver(
    case: Case, words: list[str], environment: Mapping[str, str], errors: Path
) -> Iterator[tuple[subprocess.Popen[str], Callable[[int], None]]]:
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(_REPEAT), *words],
            cwd=case.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def repeat(times: int) -> None:
        print(times, file=requests, flush=True)
        _expect(answers, "done", errors)

    try:
        _expect(answers, "ready", errors)
        yield process, repeat
    finally:
        _end(process.pid)
        process.wait()
        answers.close()
        with suppress(OSError):
            requests.close()


def _expect(answers: IO[str], word: str, errors: Path) -> None:
    if answers.readline().strip() != word:
        raise BrokenCaseError(errors.read_text(errors="replace")[-600:] or "the workload ended")


def _wait(subject: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if subject.poll() is not None or time.monotonic() > deadline:
            raise BrokenCaseError(f"it did not start: {log.read_text(errors='replace')[-800:]}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _read(kind: str, pid: int, spool: Path) -> float:
    if kind == "files":
        return float(sum(1 for path in spool.rglob("*") if path.is_file()))
    tree = _tree(pid)
    if kind == "children":
        return float(len(tree) - 1)
    total = 0.0
    for process in tree:
        with suppress(psutil.NoSuchProcess):  # a worker that is being replaced
            total += _READ[kind](process)
    return total


def _alone(process: psutil.Process) -> int:
    """Bytes that it wrote and shares with no other process.

    Clean pages are left out: those of a library become private, or cease to be, as other programs
    of the machine begin and end.
    """
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None
    found = re.search(r"^Private_Dirty: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


_READ: Mapping[str, Callable[[psutil.Process], int]] = {
    "memory": _alone,
    "fds": lambda process: process.num_fds(),
    "threads": lambda process: process.num_threads(),
}


def _end(pid: int) -> None:
    """End the tree, politely first: wherever its members have put themselves."""
    tree = _tree(pid)
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=_STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()

"""What /proc says of a process: its name for people, whether it is Python, what keeps us out."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from leak_suite.subject.agents import AgentHub, Life, is_alive, life_of

__all__ = ["Strays", "command_of", "runs_python", "short_name", "why_no_agent"]

_PYTHON = re.compile(r"(python|pypy)[\d.]*t?d?$")
_RUNS_TEXT, _RUNS_MODULE = re.compile("-[bBdEiIOPqsSuvx]*c"), re.compile("-[bBdEiIOPqsSuvx]*m$")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_KILL_SECONDS = 1.0
_POLL_SECONDS = 0.02
_KEEPS_OUT = re.compile("-[bBdhiOPqsuvx]*[EIS]")


def command_of(pid: int) -> str:
    """Its words with a blank between; "" once it is gone."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
    return text.replace("\0", " ").strip()


def runs_python(pid: int) -> bool:
    """Whether its program, or a library that it has loaded, is a Python interpreter."""
    try:
        if _PYTHON.search(Path(f"/proc/{pid}/exe").readlink().name):
            return True
        return "libpython" in Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except OSError:
        return False


def short_name(command: str) -> str:
    """What a person would call that program: the script or module, and not the interpreter."""
    words = command.split()
    if words and _PYTHON.search(Path(words[0]).name):
        options = list(_options(words[1:]))
        if options and _RUNS_TEXT.match(options[-1]):
            return "python -c"
        words = words[1 + len(options) :]
        if options and _RUNS_MODULE.match(options[-1]) and words:
            return words[0]
    names = [word for word in words if not word.startswith("-")]
    return Path(names[0]).name if names else "a process"


def _options(words: list[str]) -> Iterator[str]:
    """The interpreter's own options, with their values, up to the one that says what it runs."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return
        yield word
        if _RUNS_TEXT.match(word) or _RUNS_MODULE.match(word):
            return
        if word in _WITH_VALUE:
            yield from [next(rest, "")]


def _environment(pid: int) -> dict[str, str]:
    """The variables that it was started with."""
    text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    return dict(line.partition("=")[::2] for line in text.split("\0"))


class Strays:
    """Processes of the subject, wherever they are by now.

    A daemon leaves its parent, its session and its group. `hub` remembers those that it has met,
    and others have its variable in the environment that they were started with.
    """

    def __init__(self, hub: AgentHub) -> None:
        self._hub = hub
        self._others: set[int] = set()

    def pids(self) -> list[int]:
        """Those that live now. Of each process the environment is looked at once."""
        there = {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()}
        self._others &= there
        found = [pid for pid in there - self._others if self._is_one(pid)]
        self._others |= there.difference(found)
        return sorted({*found, *(life.pid for life in self._hub.remembered())})

    def end(self, seconds: float) -> None:
        """Ask those that are left to end; what has not after so many seconds is killed."""
        until = time.monotonic() + seconds
        number = signal.SIGTERM
        ending: set[Life] = set()
        while left := self._lives() | {life for life in ending if is_alive(life)}:
            if time.monotonic() > until:
                if number == signal.SIGKILL:
                    return  # another user's, or stuck in the kernel
                number, until = signal.SIGKILL, time.monotonic() + _KILL_SECONDS
                ending.clear()
            for life in left - ending:
                with contextlib.suppress(OSError):
                    os.kill(life.pid, number)
            ending |= left
            time.sleep(_POLL_SECONDS)

    def _lives(self) -> set[Life]:
        return {found[0] for pid in self.pids() if (found := life_of(pid)) is not None}

    def _is_one(self, pid: int) -> bool:
        name, value = self._hub.variable
        try:
            return _environment(pid).get(name) == value
        except OSError:
            return False


def why_no_agent(life: Life, command: str, hub: AgentHub) -> str:
    """What keeps the agent of `hub` out of that Python process, where it can be seen; else ""."""
    if declined := hub.declined(life):
        return declined
    pid = life.pid
    words = command.split()
    found = next((word for word in _options(words[1:]) if _KEEPS_OUT.match(word)), None)
    if found is not None and _PYTHON.search(Path(words[0]).name):
        return f"started with {found}"
    name, value = hub.variable
    try:
        variables = _environment(pid)
        apart = Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return ""
    if name not in variables:
        return f"its environment lacks {name}"
    if variables[name] != value:
        return "another gate measures it"
    if not hub.is_on_path(variables.get("PYTHONPATH", "")):
        return "its PYTHONPATH is another than it was given"
    return "in another network namespace" if apart else ""

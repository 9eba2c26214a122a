"""Brings the agent into processes that run already, by the interpreter's own `sys.remote_exec`.

That function wants a caller of the same minor version, so the target's interpreter is run once
more, in the target's root, to call it. The agent's files are copied into a folder under that root
which everybody can read, and removed in the end.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from leak_suite.subject.agents import AgentHub, Life

__all__ = ["Attachment"]

_AGENT = Path(__file__).parent.parent / "agent"
_PYTHON = re.compile(r"(python|pypy)[\d.]*t?d?$")
_HELPER_SECONDS = 30.0
_LEAVE_SECONDS = 15.0
_NOTHING = "/dev/null"
_NO_CODE = "its main thread has run no Python code since it was asked"
_HELPER = """
import sys
print("%d.%d" % sys.version_info[:2])
if hasattr(sys, "remote_exec"):
    script, *pids = sys.stdin.read().split()
    for pid in pids:
        try:
            sys.remote_exec(int(pid), script)
            print("done")
        except BaseException as error:
            print(" ".join((type(error).__name__ + ": " + str(error)).split()))
"""


@dataclass(frozen=True)
class _Root:
    """The files as some processes see them; `own` if we see them so too.

    `descriptor` holds the root open and `above` the folder that ours is in: mounts under a root are
    gone with the last of its processes, and what lies there could not be removed by its path.
    """

    descriptor: int
    above: int
    own: bool
    name: str
    script: str
    """What the processes are to run, by the path that they have for it."""

    @property
    def here(self) -> Path:
        """The folder with the agent's files, by a path of this process."""
        return Path(f"/proc/self/fd/{self.above}/{self.name}")

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.here, ignore_errors=True)
        os.close(self.above)
        os.close(self.descriptor)


class Attachment:
    """The agents that are brought in for one run; `leave` takes them out again.

    `reasons` says of each process that has none why not.
    """

    def __init__(self, hub: AgentHub) -> None:
        self._hub = hub
        self._roots: dict[tuple[int, int, str], _Root] = {}
        self._asked: dict[Life, tuple[_Root, str]] = {}
        self.reasons: dict[Life, str] = {}

    def reach(self, lives: Iterable[Life]) -> None:
        """Ask each process that was not asked before to take the agent in."""
        wanted: dict[tuple[_Root, str], list[Life]] = {}
        for life in lives:
            if life in self._asked or life in self.reasons or self._hub.link(life) is not None:
                continue
            try:
                wanted.setdefault((self._root_of(life), _interpreter(life.pid)), []).append(life)
            except _UnreachableError as reason:
                self.reasons[life] = str(reason)
            except OSError as error:
                self.reasons[life] = _explained(error)
        for (root, python), group in wanted.items():
            problems = _remote(root, python, root.script, group)
            for life, problem in zip(group, problems, strict=True):
                if problem:
                    self.reasons[life] = problem
                else:
                    self._asked[life] = root, python

    def is_awaited(self) -> bool:
        """Whether a process that was asked has neither answered nor ended."""
        return any(self._hub.is_awaited(life) for life in self._asked)

    def wait(self, seconds: float) -> None:
        """Until none is awaited any more, but no longer than this."""
        self._hub.wait_for_all(self._asked, seconds)

    def why_not(self, life: Life) -> str:
        """Why there is no agent in that process; "" where that is not known."""
        asked = _NO_CODE if life in self._asked else ""
        return self.reasons.get(life) or self._hub.declined(life) or asked

    def leave(self) -> None:
        """Take every agent out, and remove the files.

        Who has not run what it was asked to would print that the file is gone; it is asked to run
        an empty one instead.
        """
        silent: dict[tuple[_Root, str], list[Life]] = {}
        for life, where in self._asked.items():
            if self._hub.is_awaited(life):
                silent.setdefault(where, []).append(life)
        for (root, python), group in silent.items():
            _remote(root, python, _NOTHING, group)
        self._hub.dismiss(_LEAVE_SECONDS)
        for root in self._roots.values():
            root.close()
        self._roots.clear()
        self._asked.clear()

    def _root_of(self, life: Life) -> _Root:
        """The root of that process, with the agent's files in it."""
        proc = f"/proc/{life.pid}"
        if _target(f"{proc}/ns/pid") != _target("/proc/self/ns/pid"):
            raise _UnreachableError(
                "it is in a container with process numbers of its own: run leak-suite in there"
            )
        key = _identity(proc)
        if key not in self._roots:
            own = key == _identity("/proc/self")
            try:
                self._roots[key] = self._opened(f"{proc}/root", own=own)
            except OSError as error:
                if isinstance(error, PermissionError) and not os.access(f"{proc}/root", os.R_OK):
                    raise
                raise _UnreachableError(f"no file can be put there for it: {error}") from error
        return self._roots[key]

    def _opened(self, path: str, *, own: bool) -> _Root:
        with contextlib.ExitStack() as undone:
            descriptor, above = (
                os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                for folder in (path, f"{path}/tmp")  # noqa: S108 - only to make our own in it
            )
            for opened in (descriptor, above):
                undone.callback(os.close, opened)
            name, script = self._placed(above)
            undone.pop_all()
        return _Root(descriptor, above, own, name, script)

    def _placed(self, above: int) -> tuple[str, str]:
        """(name of a new folder with the agent's files, path of the script for the processes).

        These may be of several users; who does not know the inner name finds nothing.
        """
        made = Path(tempfile.mkdtemp(prefix="leak-suite-", dir=f"/proc/self/fd/{above}"))
        inner = secrets.token_hex(16)
        folder = f"/tmp/{made.name}/{inner}"  # noqa: S108 - its name cannot be guessed
        try:
            ignored = shutil.ignore_patterns("__pycache__")
            files = shutil.copytree(_AGENT, made / inner, ignore=ignored)
            with (files / "enter.py").open("a", encoding="utf-8") as script:
                script.write(f"\n\nenter({folder!r}, *{self._hub.place!r})\n")
            for path in (files, *files.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)
            made.chmod(0o711)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return made.name, f"{folder}/enter.py"


class _UnreachableError(Exception):
    """Why a process cannot be entered."""


def _identity(proc: str) -> tuple[int, int, str]:
    status = Path(f"{proc}/root").stat()
    return status.st_dev, status.st_ino, _target(f"{proc}/ns/mnt")


def _target(link: str) -> str:
    return str(Path(link).readlink())


def _interpreter(pid: int) -> str:
    """The program of that process, by the path that it has for it."""
    program = _target(f"/proc/{pid}/exe")
    if program.endswith(" (deleted)"):
        raise _UnreachableError("its interpreter was replaced since it started: restart it")
    if not _PYTHON.search(program):
        raise _UnreachableError(f"its program is {Path(program).name}, not a Python interpreter")
    root = _target(f"/proc/{pid}/root")
    return program if root == "/" else program.removeprefix(root)


def _remote(root: _Root, python: str, script: str, lives: Iterable[Life]) -> list[str]:
    """Have these processes run `script`: for each what went wrong, "" where nothing did."""
    pids = [str(life.pid) for life in lives]
    inside = [] if root.own else ["chroot", f"/proc/self/fd/{root.descriptor}"]
    try:
        ran = subprocess.run(
            [*inside, python, "-I", "-S", "-c", _HELPER],
            input=" ".join((script, *pids)),  # an argument could be read by everybody
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            pass_fds=[root.descriptor],
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"its interpreter could not be run once more: {error}"] * len(pids)
    version, *problems = ran.stdout.splitlines() or [""]
    if not version:
        last = (ran.stderr.strip().splitlines() or [f"status {ran.returncode}"])[-1]
        return [f"its interpreter could not be run once more: {last}"] * len(pids)
    if len(problems) < len(pids):
        return [f"it runs Python {version}, and only 3.14 and newer let an agent in"] * len(pids)
    return ["" if problem == "done" else _wording(problem) for problem in problems]


def _wording(problem: str) -> str:
    kind, _, text = problem.partition(": ")
    if kind == "PermissionError" or "ermission" in text or "not permitted" in text:
        return _no_permission()
    return f"its interpreter lets no agent in: {text or kind}"


def _explained(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return _no_permission()
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        return "it has ended"
    return str(error)


def _no_permission() -> str:
    scope = ""
    with contextlib.suppress(OSError):
        value = Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip()
        scope = f" (kernel.yama.ptrace_scope is {value})"
    return f"this user may not trace it{scope}: run leak-suite as root, or with CAP_SYS_PTRACE"

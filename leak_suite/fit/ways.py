"""The ways to put a real memory limit around a subject, tried in order until one works."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leak_suite.fit.groups import Books, Group, GroupV1, GroupV2, NoGroup

__all__ = ["WAYS", "Chosen", "choose"]

_TRY_SECONDS = 30.0

Opener = Callable[[int | None], Group]


@dataclass(frozen=True)
class Chosen:
    """The way that works here; `open` makes a group with a limit, or without one to count only.

    `refused` says of each way that was tried before why it does not work.
    """

    name: str
    open: Opener
    refused: Mapping[str, str]
    enforced: bool = True


def choose(*, only: str | None = None, image: str | None = None) -> Chosen:
    """The first way of WAYS (or the one named) in which a process really starts under a limit."""
    refused: dict[str, str] = {}
    for name, make in WAYS.items():
        if only is not None and name != only:
            continue
        try:
            return Chosen(name, make(image), refused)
        except NoGroup as error:
            refused[name] = " ".join(str(error).split())
    return Chosen("none", lambda _: Unlimited(), refused, enforced=False)


def _prove(opener: Opener) -> None:
    """Start something small inside: files that can be written prove nothing yet."""
    group = opener(64 << 20)
    try:
        done = subprocess.run(
            group.wrap(("sleep", "0")), capture_output=True, timeout=_TRY_SECONDS, check=False
        )
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip()
            raise NoGroup(words or f"a command in it ended with {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoGroup(str(error)) from error
    finally:
        group.close()


def _fresh() -> str:
    return f"leak-suite-{os.getpid()}-{secrets.token_hex(3)}"


def _v2(_: str | None) -> Opener:
    return folder_opener(Path("/proc/self"), "", GroupV2)


def _v1(_: str | None) -> Opener:
    return folder_opener(Path("/proc/self"), "memory", GroupV1)


def folder_opener(proc: Path, controller: str, make: Callable[[Path, int | None], Group]) -> Opener:
    """Opens groups under this process's own group or the nearest above it that allows it."""
    parents = _parents(proc, controller)
    if not parents:
        version = "v1 with the memory controller" if controller else "v2"
        raise NoGroup(f"no cgroup {version} is mounted")
    reasons: list[str] = []
    for parent in parents:
        try:
            if not controller:
                _hand_down_memory(parent)
            _sweep(parent)
            opener = _below(parent, make)
            _prove(opener)
        except NoGroup as error:  # noqa: PERF203
            reasons.append(str(error))
        else:
            return opener
    raise NoGroup(reasons[-1])


def _below(parent: Path, make: Callable[[Path, int | None], Group]) -> Opener:
    return lambda limit: make(parent / _fresh(), limit)


def _sweep(parent: Path) -> None:
    """Remove the empty groups of runs that were killed before they could."""
    for folder in parent.glob("leak-suite-*-*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _hand_down_memory(parent: Path) -> None:
    """Children of a version 2 group have a memory controller only if the group hands it down."""
    try:
        if "memory" not in (parent / "cgroup.controllers").read_text().split():
            raise NoGroup(f"{parent} has no memory controller")
        control = parent / "cgroup.subtree_control"
        if "memory" not in control.read_text().split():
            control.write_text("+memory\n")
    except OSError as error:
        raise NoGroup(f"{parent} does not hand memory down: {error.strerror}") from error


def _parents(proc: Path, controller: str) -> list[Path]:
    """The group of a process and those above it, up to the mount of that hierarchy."""
    try:
        mounts = (proc / "mountinfo").read_text().splitlines()
        memberships = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return []
    wanted = "cgroup" if controller else "cgroup2"
    group = "/"
    for line in memberships:
        _, names, path = line.split(":", 2)
        if (controller in names.split(",")) if controller else not names:
            group = path
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split()
        if kind != wanted or (controller and controller not in options.split(",")):
            continue
        root, mount = before.split()[3], Path(before.split()[4])
        inside = group[len(root) :] if root != "/" and group.startswith(root) else group
        leaf = mount / inside.strip("/")
        if ".." in leaf.parts or not leaf.is_dir():
            return [mount]
        return [leaf, *(p for p in leaf.parents if p.is_relative_to(mount))]
    return []


class SystemdScope:
    """A transient scope; its books are those of the version 2 group that systemd made for it."""

    name = "systemd-run"

    def __init__(self, limit: int | None, *, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._unit = f"{_fresh()}.scope"
        self._limit = limit
        self._root = root
        self._manager = () if os.geteuid() == 0 else ("--user",)
        self._group: GroupV2 | None = None

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """See `Group`."""
        limit = "infinity" if self._limit is None else str(self._limit)
        own = ("systemd-run", *self._manager, "--scope", "--quiet", "--collect")
        properties = ("-p", "MemoryAccounting=yes", "-p", f"MemoryMax={limit}")
        return (*own, f"--unit={self._unit}", *properties, "-p", "MemorySwapMax=0", "--", *argv)

    def books(self) -> Books:
        """See `Group`."""
        group = self._find()
        return Books(None, None, None) if group is None else group.books()

    def pids(self) -> tuple[int, ...]:
        """See `Group`."""
        group = self._find()
        return () if group is None else group.pids()

    def close(self) -> None:
        """See `Group`."""
        group = self._find()
        if group is not None:
            group.close()

    def _find(self) -> GroupV2 | None:
        if self._group is None:
            folder = next(self._root.rglob(self._unit), None)
            if folder is not None:
                with contextlib.suppress(NoGroup):
                    self._group = GroupV2(folder, self._limit, adopted=True)
        return self._group


def _systemd(_: str | None) -> Opener:
    if shutil.which("systemd-run") is None:
        raise NoGroup("systemd-run is not installed")
    _prove(SystemdScope)
    return SystemdScope


class Container:
    """A docker container on the host's network; its books are those of its group."""

    name = "docker"

    def __init__(self, image: str, limit: int | None) -> None:
        self._image = image
        self._limit = limit
        self._container = _fresh()
        self._group: Group | None = None

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """See `Group`."""
        limits: tuple[str, ...] = ()
        if self._limit is not None:
            limits = (f"--memory={self._limit}", f"--memory-swap={self._limit}")
        own = ("docker", "run", "--rm", f"--name={self._container}", "--network=host")
        return (*own, *limits, self._image, *argv)

    def books(self) -> Books:
        """See `Group`."""
        group = self._find()
        return Books(None, None, None) if group is None else group.books()

    def pids(self) -> tuple[int, ...]:
        """See `Group`."""
        group = self._find()
        return () if group is None else group.pids()

    def close(self) -> None:
        """See `Group`."""
        _docker("rm", "--force", self._container)

    def _find(self) -> Group | None:
        if self._group is None:
            state = _docker("inspect", "--format", "{{json .State.Pid}}", self._container)
            pid = json.loads(state) if state else 0
            if pid:
                self._group = _group_of(Path(f"/proc/{pid}"))
        return self._group


def _group_of(proc: Path) -> Group | None:
    for controller in ("memory", ""):
        for folder in _parents(proc, controller)[:1]:
            if controller and (folder / "memory.limit_in_bytes").exists():
                return GroupV1(folder, None, adopted=True)
            if not controller and (folder / "memory.max").exists():
                return GroupV2(folder, None, adopted=True)
    return None


def _docker_way(image: str | None) -> Opener:
    if image is None:
        raise NoGroup("it needs --image, the image in which the command can be run")
    if shutil.which("docker") is None:
        raise NoGroup("docker is not installed")
    if not _docker("version", "--format", "{{.Server.Version}}"):
        raise NoGroup("the docker engine does not answer")
    return lambda limit: Container(image, limit)


def _docker(*words: str) -> str:
    """What docker prints; empty where it fails."""
    try:
        done = subprocess.run(
            ("docker", *words), capture_output=True, timeout=_TRY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


class Unlimited:
    """No limit at all: the subject's own processes are looked at, and nothing is enforced."""

    name = "none"

    def wrap(self, argv: Sequence[str]) -> tuple[str, ...]:
        """See `Group`."""
        return tuple(argv)

    def books(self) -> Books:
        """See `Group`."""
        return Books(None, None, None)

    def pids(self) -> tuple[int, ...]:
        """See `Group`."""
        return ()

    def close(self) -> None:
        """See `Group`."""
        return


WAYS: Mapping[str, Callable[[str | None], Opener]] = {
    "cgroup v2": _v2,
    "cgroup v1": _v1,
    "systemd-run": _systemd,
    "docker": _docker_way,
}

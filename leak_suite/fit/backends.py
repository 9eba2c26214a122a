"""The backends that enforce a memory limit on a service, tried in order until one works."""

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

from leak_suite.errors import LimitUnavailable
from leak_suite.fit.cgroup import CgroupStats, CgroupV1, CgroupV2, MemoryCgroup

__all__ = ["BACKENDS", "Backend", "CgroupFactory", "group_of", "select_backend"]

_TRY_SECONDS = 30.0

CgroupFactory = Callable[[int | None], MemoryCgroup]
"""Makes a group with a limit in bytes, or with None one that only counts."""


@dataclass(frozen=True)
class Backend:
    """The backend that works here.

    `unavailable` says of each backend that was tried before why it does not work.
    `enforced` is False where none works: then nothing is limited.
    """

    name: str
    make_cgroup: CgroupFactory
    unavailable: Mapping[str, str]
    enforced: bool = True


def select_backend(*, only: str | None = None, image: str | None = None) -> Backend:
    """The first of BACKENDS (or the one named) by which a process really starts under a limit.

    `image`: the docker image in which the command can be run.
    """
    unavailable: dict[str, str] = {}
    for name, make in BACKENDS.items():
        if only is not None and name != only:
            continue
        try:
            return Backend(name, make(image), unavailable)
        except LimitUnavailable as error:
            unavailable[name] = " ".join(str(error).split())
    return Backend("none", lambda _: NoLimit(), unavailable, enforced=False)


def _verify(make_cgroup: CgroupFactory) -> None:
    """Start a small command under a limit: that the files can be written proves nothing yet."""
    group = make_cgroup(64 << 20)
    try:
        done = subprocess.run(
            group.wrap(("sleep", "0")), capture_output=True, timeout=_TRY_SECONDS, check=False
        )
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip()
            raise LimitUnavailable(words or f"a command in it ended with {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LimitUnavailable(str(error)) from error
    finally:
        group.close()


def _unique_name() -> str:
    return f"leak-suite-{os.getpid()}-{secrets.token_hex(3)}"


def _v2(_: str | None) -> CgroupFactory:
    return folder_factory(Path("/proc/self"), "", CgroupV2)


def _v1(_: str | None) -> CgroupFactory:
    return folder_factory(Path("/proc/self"), "memory", CgroupV1)


def folder_factory(
    proc: Path, controller: str, make: Callable[[Path, int | None], MemoryCgroup]
) -> CgroupFactory:
    """Makes groups under this process's own group or the nearest above it that allows it."""
    parents = _parents(proc, controller)
    if not parents:
        version = "v1 with the memory controller" if controller else "v2"
        raise LimitUnavailable(f"no cgroup {version} is mounted")
    reasons: list[str] = []
    for parent in parents:
        try:
            if not controller:
                _delegate_controller(parent)
            _remove_stale_cgroups(parent)
            factory = _factory_below(parent, make)
            _verify(factory)
        except LimitUnavailable as error:  # noqa: PERF203
            reasons.append(str(error))
        else:
            return factory
    raise LimitUnavailable(reasons[-1])


def _factory_below(parent: Path, make: Callable[[Path, int | None], MemoryCgroup]) -> CgroupFactory:
    return lambda limit: make(parent / _unique_name(), limit)


def _remove_stale_cgroups(parent: Path) -> None:
    """Remove the empty groups of runs that were killed before they could."""
    for folder in parent.glob("leak-suite-*-*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _delegate_controller(parent: Path) -> None:
    """Children of a version 2 group have a memory controller only if it delegates it."""
    try:
        if "memory" not in (parent / "cgroup.controllers").read_text().split():
            raise LimitUnavailable(f"{parent} has no memory controller")
        control = parent / "cgroup.subtree_control"
        if "memory" not in control.read_text().split():
            control.write_text("+memory\n")
    except OSError as error:
        raise LimitUnavailable(
            f"{parent} does not delegate the memory controller: {error.strerror}"
        ) from error


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
    """A transient scope; its counters are those of the group that systemd makes for it."""

    name = "systemd-run"

    def __init__(self, limit: int | None, *, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._unit = f"{_unique_name()}.scope"
        self._limit = limit
        self._root = root
        self._manager = () if os.geteuid() == 0 else ("--user",)
        self._group: CgroupV2 | None = None

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryCgroup`."""
        limit = "infinity" if self._limit is None else str(self._limit)
        own = ("systemd-run", *self._manager, "--scope", "--quiet", "--collect")
        properties = ("-p", "MemoryAccounting=yes", "-p", f"MemoryMax={limit}")
        return (*own, f"--unit={self._unit}", *properties, "-p", "MemorySwapMax=0", "--", *argv)

    def stats(self) -> CgroupStats:
        """See `MemoryCgroup`."""
        group = self._find()
        return CgroupStats() if group is None else group.stats()

    def pids(self) -> tuple[int, ...]:
        """See `MemoryCgroup`."""
        group = self._find()
        return () if group is None else group.pids()

    def close(self) -> None:
        """See `MemoryCgroup`."""
        group = self._find()
        if group is not None:
            group.close()

    def _find(self) -> CgroupV2 | None:
        if self._group is None:
            folder = next(self._root.rglob(self._unit), None)
            if folder is not None:
                with contextlib.suppress(LimitUnavailable):
                    self._group = CgroupV2(folder, self._limit, adopted=True)
        return self._group


def _systemd(_: str | None) -> CgroupFactory:
    if shutil.which("systemd-run") is None:
        raise LimitUnavailable("systemd-run is not installed")
    _verify(SystemdScope)
    return SystemdScope


class DockerContainer:
    """A docker container on the host's network; its counters are those of its group."""

    name = "docker"

    def __init__(self, image: str, limit: int | None) -> None:
        self._image = image
        self._limit = limit
        self._container = _unique_name()
        self._group: MemoryCgroup | None = None

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """See `MemoryCgroup`."""
        limits: tuple[str, ...] = ()
        if self._limit is not None:
            limits = (f"--memory={self._limit}", f"--memory-swap={self._limit}")
        own = ("docker", "run", "--rm", f"--name={self._container}", "--network=host")
        return (*own, *limits, self._image, *argv)

    def stats(self) -> CgroupStats:
        """See `MemoryCgroup`."""
        group = self._find()
        return CgroupStats() if group is None else group.stats()

    def pids(self) -> tuple[int, ...]:
        """See `MemoryCgroup`."""
        group = self._find()
        return () if group is None else group.pids()

    def close(self) -> None:
        """See `MemoryCgroup`."""
        _docker("rm", "--force", self._container)

    def _find(self) -> MemoryCgroup | None:
        if self._group is None:
            state = _docker("inspect", "--format", "{{json .State.Pid}}", self._container)
            pid = json.loads(state) if state else 0
            if pid:
                self._group = group_of(Path(f"/proc/{pid}"))
        return self._group


def group_of(proc: Path) -> MemoryCgroup | None:
    """The memory control group of the process with the folder `proc`; None where there is none."""
    for controller in ("memory", ""):
        for folder in _parents(proc, controller)[:1]:
            if controller and (folder / "memory.limit_in_bytes").exists():
                return CgroupV1(folder, None, adopted=True)
            if not controller and (folder / "memory.max").exists():
                return CgroupV2(folder, None, adopted=True)
    return None


def _docker_backend(image: str | None) -> CgroupFactory:
    if image is None:
        raise LimitUnavailable("it needs --image, the image in which the command can be run")
    if shutil.which("docker") is None:
        raise LimitUnavailable("docker is not installed")
    if not _docker("version", "--format", "{{.Server.Version}}"):
        raise LimitUnavailable("the docker engine does not answer")
    return lambda limit: DockerContainer(image, limit)


def _docker(*words: str) -> str:
    """What docker prints; empty where it fails."""
    try:
        done = subprocess.run(
            ("docker", *words), capture_output=True, timeout=_TRY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


class NoLimit:
    """No limit at all: nothing is enforced, and the service's own processes are sampled."""

    name = "none"

    def wrap(self, argv: Sequence[str]) -> tuple[str, ...]:
        """See `MemoryCgroup`."""
        return tuple(argv)

    def stats(self) -> CgroupStats:
        """See `MemoryCgroup`."""
        return CgroupStats()

    def pids(self) -> tuple[int, ...]:
        """See `MemoryCgroup`."""
        return ()

    def close(self) -> None:
        """See `MemoryCgroup`."""
        return


BACKENDS: Mapping[str, Callable[[str | None], CgroupFactory]] = {
    "cgroup v2": _v2,
    "cgroup v1": _v1,
    "systemd-run": _systemd,
    "docker": _docker_backend,
}

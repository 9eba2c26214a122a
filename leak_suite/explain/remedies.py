"""The remedies that can be tried from outside, and the lines that set them where a program runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["REMEDIES", "Preload", "Remedy", "setting_lines"]

COLLECTOR = "LEAK_SUITE_COLLECTOR"
"""What the agent does to the collector of each process: see its `resident`."""
_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/opt/homebrew/lib")


@dataclass(frozen=True)
class Preload:
    """An allocator that takes the place of the C library's: its file, and Debian's package."""

    pattern: str
    package: str

    def find(self, folders: Sequence[str] = _LIBRARY_FOLDERS) -> Path | None:
        """Where it is installed; None where it is not."""
        for folder in folders:
            for pattern in (self.pattern, f"*/{self.pattern}"):
                if found := sorted(Path(folder).glob(pattern)):
                    return found[0]
        return None


@dataclass(frozen=True)
class Remedy:
    """Something to try: variables for the subject, or an allocator to load before it.

    `code` is what sets it in the program, where that is no matter of its environment. `python` is
    the first version that has it. `for_forks` is for programs that fork only.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    preload: Preload | None = None
    code: tuple[str, ...] = ()
    python: tuple[int, int] = (3, 9)
    for_forks: bool = False

    def unavailable(self, python: str, *, forks: bool) -> str:
        """Why it cannot be tried on this machine, on that version of Python; empty if it can."""
        if self.preload is not None and self.preload.find() is None:
            return f"not installed here (Debian: apt-get install {self.preload.package})"
        version = re.match(r"(\d+)\.(\d+)", python)
        if version and (int(version[1]), int(version[2])) < self.python:
            return f"needs Python {'.'.join(map(str, self.python))}; the subject runs on {python}"
        if self.for_forks and not forks:
            return "the subject does not fork"
        return ""

    def variables(self) -> dict[str, str]:
        """The environment to try it in."""
        found = None if self.preload is None else self.preload.find()
        return {**self.environment, **({} if found is None else {"LD_PRELOAD": str(found)})}


REMEDIES: Sequence[Remedy] = (
    Remedy("MALLOC_ARENA_MAX=2", {"MALLOC_ARENA_MAX": "2"}),
    Remedy(
        "trim and mmap thresholds",
        {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"},
    ),
    Remedy("PYTHONMALLOC=malloc", {"PYTHONMALLOC": "malloc"}),
    Remedy("PYTHONMALLOC=mimalloc", {"PYTHONMALLOC": "mimalloc"}, python=(3, 13)),
    Remedy("jemalloc", preload=Preload("libjemalloc.so.2", "libjemalloc2")),
    Remedy("mimalloc", preload=Preload("libmimalloc.so.*", "libmimalloc2.0")),
    Remedy(
        "gc.freeze() before fork",
        {COLLECTOR: "freeze"},
        code=(
            "import gc",
            "gc.collect()",
            "gc.freeze()  # in the parent, right before it forks",
            "# gunicorn: preload_app = True, and in its configuration file",
            "def pre_fork(server, worker): gc.freeze()",
        ),
        for_forks=True,
    ),
    Remedy(
        "rarer collections",
        {COLLECTOR: "50000,20,50"},
        code=("import gc", "gc.set_threshold(50_000, 20, 50)  # where the program starts"),
    ),
)
"""In the order in which they are preferred where several do as much."""


def setting_lines(remedy: Remedy) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(where, the lines) that set it: in the program, or in the files that it is deployed by."""
    if remedy.code:
        return (("In the program", remedy.code),)
    return tuple(_deployed(remedy))


def _deployed(remedy: Remedy) -> Iterator[tuple[str, tuple[str, ...]]]:
    variables = dict(remedy.environment)
    install: tuple[str, ...] = ()
    if remedy.preload is not None:
        found = remedy.preload.find()
        variables["LD_PRELOAD"] = remedy.preload.pattern if found is None else found.name
        install = (f"RUN apt-get update && apt-get install -y {remedy.preload.package}",)
    yield "Dockerfile", (*install, *(f"ENV {name}={value}" for name, value in variables.items()))
    yield (
        "systemd unit, in [Service]",
        tuple(f"Environment={name}={value}" for name, value in variables.items()),
    )
    yield (
        "render.yaml, in the service",
        (
            "envVars:",
            *(
                line
                for name, value in variables.items()
                for line in (f"  - key: {name}", f'    value: "{value}"')
            ),
        ),
    )
    yield (
        "Kubernetes, in the container",
        (
            "env:",
            *(
                line
                for name, value in variables.items()
                for line in (f"  - name: {name}", f'    value: "{value}"')
            ),
        ),
    )

"""Run a workload in a fresh interpreter under memray and keep what it recorded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leak_suite.attribution import memray_path
from leak_suite.errors import ConfigurationError, LeakSuiteError, SubjectError
from leak_suite.flamegraph.workers import NATIVE, VARIABLE
from leak_suite.subject import Extras, Round, Spec, Subject
from leak_suite.subject.trace_data import OwnershipData, TracePlan

__all__ = ["MODES", "Mode", "RecordingFile", "file_name", "page", "record", "recorded"]

_WARM_UP = 3
_NO_GUARD = 1e9
_GRACE_SECONDS = 60.0
_PAGE_SECONDS = 300.0


@dataclass(frozen=True)
class Mode:
    """What is looked at: how it is recorded, and how memray is asked to draw it.

    What is left behind is recorded after warm-up, with Python's own allocator; the rest from the
    first import on, without it: what is there at the peak is large.
    """

    name: str
    title: str
    flags: tuple[str, ...]
    after_warm_up: bool
    python_allocators: bool
    every: bool


MODES = {
    mode.name: mode
    for mode in (
        Mode("leaks", "left behind", ("--leaks",), True, True, False),
        Mode("peak", "at the peak", (), False, False, False),
        Mode("temporal", "over time", ("--temporal",), False, False, True),
    )
}


@dataclass(frozen=True)
class RecordingFile:
    """memray's file, and what must be known to read it: kept beside it as JSON.

    `root` is the folder that own files are named relative to; `iterations` were recorded. Of a
    subject of several processes it is that of `process`; `workers` are the others.
    """

    file: Path
    subject: str
    mode: str
    iterations: int
    root: str = ""
    libraries: tuple[str, ...] = ()
    instrumentation: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    workers: tuple[tuple[str, Path], ...] = ()
    process: str = ""

    @property
    def title(self) -> str:
        """What it shows."""
        return f"{self.subject}, {MODES[self.mode].title}"

    def pages(self) -> Iterator[tuple[str, Path]]:
        """The title and the file of each process."""
        for label, file in ((self.process, self.file), *self.workers):
            yield (f"{self.title}, {label}" if label else self.title), file


def file_name(subject: str, mode: str) -> str:
    """The name of a workload's files, without ending."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', subject).strip('_').lower()}-{mode}"


def record(
    spec: Spec, mode: Mode, output: Path, *, iterations: int, native: bool, max_seconds: float
) -> RecordingFile:
    """Record `iterations` of the workload into `output` (NAME.bin), and NAME.json beside it.

    Of a command one process of each role is recorded, that which grew most in warm-up.
    """
    if not spec.agent_inside:
        raise ConfigurationError(
            "a flamegraph needs a TARGET, --app or a command: others are seen from outside only"
        )
    if not spec.traced_from_start and not mode.after_warm_up:
        raise ConfigurationError(
            "a command is recorded once it is warm; choose --leaks or --growth"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    for old in output.parent.glob(f"{output.stem}-worker-*.bin"):
        old.unlink()
    names = list(spec.own_packages())
    plan: TracePlan = {
        "allocations": "kept", "output": str(output.resolve()), "native": native,
        "every": mode.every, "python_allocators": mode.python_allocators, "own": names,
        "memray_path": memray_path(),
    }  # fmt: skip
    if spec.traced_from_start:
        with _workers_recorded(output, native=native) as found:
            ownership = _drive(spec, mode, plan, iterations, max_seconds)
        process, workers = "", tuple(found)
    else:
        process, workers, ownership = _drive_command(spec, plan, output, iterations, max_seconds)
    recording = RecordingFile(
        output, str(spec), mode.name, iterations, str(Path.cwd()), tuple(ownership["libraries"]),
        tuple(ownership["instrumentation"]), tuple(names), workers, process,
    )  # fmt: skip
    _keep(recording)
    return recording


def _drive(
    spec: Spec, mode: Mode, plan: TracePlan, iterations: int, max_seconds: float
) -> OwnershipData:
    """Record the workload; whose code is whose in the subject."""
    with spec.open(Extras(trace=None if mode.after_warm_up else plan)) as subject:
        if mode.after_warm_up:
            _repeat(subject, _WARM_UP, max_seconds)
            subject.begin_trace(plan)
        _repeat(subject, iterations, max_seconds)
        return subject.end_trace()["ownership"]


def _drive_command(
    spec: Spec, plan: TracePlan, output: Path, iterations: int, max_seconds: float
) -> tuple[str, tuple[tuple[str, Path], ...], OwnershipData]:
    """Record one process of each role: (the first one's role, the others, whose code is whose)."""
    begun: list[tuple[str, Path]] = []
    with spec.open() as subject:
        warm = _repeat(subject, _WARM_UP, max_seconds)
        roles = dict.fromkeys(reading.group for reading in warm.processes.values())
        why: list[str] = []
        for role in roles:
            name = f"{output.stem}-worker-{len(begun)}.bin" if begun else output.name
            file = output.with_name(name)
            try:
                subject.begin_trace({**plan, "output": str(file.resolve())}, role)
            except SubjectError as error:
                why.append(f"{role}: {error}")
            else:
                begun.append((role, file))
        if not begun:
            said = "; ".join(why) or "there is no Python process"
            raise SubjectError(f"nothing of the command can be recorded: {said}")
        _repeat(subject, iterations, max_seconds)
        ownership = [subject.end_trace(role)["ownership"] for role, _ in begun]
    (process, _), *workers = begun
    return process, tuple(workers), ownership[0]


def _repeat(subject: Subject, iterations: int, max_seconds: float) -> Round:
    """So many iterations, however much they take: a flamegraph of fewer would be of another run."""
    done = subject.round(
        iterations,
        seconds=max_seconds,
        guard_factor=_NO_GUARD,
        timeout=max_seconds + _GRACE_SECONDS,
    )
    if done.error is not None:
        raise SubjectError(f"the workload failed while it was recorded: {done.error}")
    if done.done < iterations:
        raise SubjectError(
            f"only {done.done} of {iterations} iterations were done in {max_seconds:g} s; "
            "ask for fewer (--iterations) or give it more time (--max-seconds)"
        )
    return done


@contextmanager
def _workers_recorded(output: Path, *, native: bool) -> Iterator[list[tuple[str, Path]]]:
    """The subject and all it starts know by the environment where workers are to write.

    Yields the list of what they wrote, which is there in the end.
    """
    found: list[tuple[str, Path]] = []
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="leak-suite-flamegraph-") as place:
        folder = Path(place)
        if native:
            (folder / NATIVE).touch()
        os.environ[VARIABLE] = place
        try:
            yield found
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before
        for number, file in enumerate(sorted(folder.glob("worker-*.bin")), 1):
            target = output.with_name(f"{output.stem}-worker-{number}.bin")
            shutil.move(file, target)
            found.append((f"worker {number}", target))


def _keep(recording: RecordingFile) -> None:
    data = {
        "subject": recording.subject, "mode": recording.mode, "root": recording.root,
        "iterations": recording.iterations, "libraries": recording.libraries,
        "instrumentation": recording.instrumentation, "names": recording.names,
    }  # fmt: skip
    text = json.dumps(data, indent=1) + "\n"
    recording.file.with_suffix(".json").write_text(text, encoding="utf-8")


def recorded(file: Path) -> RecordingFile:
    """A recording that lies on disk; one of plain memray is taken as the peak of one iteration."""
    if not file.is_file():
        raise ConfigurationError(f"there is no recording {file}")
    beside = file.with_suffix(".json")
    if not beside.is_file():
        return RecordingFile(file, file.stem, "peak", 1)
    try:
        data = json.loads(beside.read_text(encoding="utf-8"))
        if "machinery" in data:  # as earlier recordings call it
            data["instrumentation"] = data.pop("machinery")
        data |= {key: tuple(data[key]) for key in ("libraries", "instrumentation", "names")}
        return RecordingFile(file=file, **data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{beside} does not belong to a recording: {error}") from error


def page(file: Path, mode: Mode, run: Callable[..., Any] = subprocess.run) -> Path:
    """The page that memray makes of a recording, beside it; it holds all that it shows."""
    output = file.with_suffix(".html")
    command = [sys.executable, "-m", "memray", "flamegraph", "--no-web", "--force", *mode.flags]
    try:
        done = run(
            [*command, "-o", str(output), str(file)],
            capture_output=True, text=True, check=False, timeout=_PAGE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LeakSuiteError(
            f"memray took more than {_PAGE_SECONDS:g} s to draw {file}; record fewer iterations"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it did not say why"]
        raise LeakSuiteError(f"memray could not draw {file}: {said[-1]}")
    return output

"""The gate itself on the twins: the command a person types, in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.catalogue.case import Case
from benchmarks.catalogue.result import TwinRun, judge_run
from benchmarks.catalogue.servers import NoRedisError
from benchmarks.catalogue.start import surroundings
from benchmarks.leakbench.process import Ended, run

__all__ = ["busy_processes", "run_twin"]

_SPIN = "while True: pass"
_MEASURED = Path(__file__).with_name("measured.py")


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """So many processes that use a core each, for as long as the block takes."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(number)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def run_twin(
    case: Case, twin: str, repeat: int, *, timeout: float, options: Sequence[str], keep: Path
) -> TwinRun:
    """Run `leak-suite run` on one twin; of a wrong answer, output and run file stay in `keep`."""
    try:
        with surroundings(case, twin) as (scratch, environment):
            report = scratch / "report" / "run.json"
            report.parent.mkdir()
            usage = scratch / "usage.json"
            measured = [sys.executable, str(_MEASURED), str(usage)]
            gate = [sys.executable, "-m", "leak_suite", "run", "-o", str(report), *options]
            command = [*measured, *gate, *case.arguments()]
            ended = run(command, environment, timeout, cwd=case.folder)
            used = _read(usage) or {"cpu_seconds": 0.0, "left": []}
            judged = judge_run(
                case,
                twin,
                repeat,
                status=ended.status,
                data=_read(report),
                seconds=ended.seconds,
                cpu_seconds=used["cpu_seconds"],
                left=tuple(used["left"]),
                note=ended.stopped,
            )
            if not judged.as_expected or judged.left or (judged.leaks and not judged.line_named):
                _keep(judged, ended, report, keep)
            return judged
    except NoRedisError as error:
        return judge_run(
            case, twin, repeat, status=None, data=None, seconds=0.0, cpu_seconds=0.0,
            note=str(error),
        )  # fmt: skip


def _read(report: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _keep(judged: TwinRun, ended: Ended, report: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{judged.case}-{judged.twin}-{judged.repeat}"
    (folder / f"{name}.txt").write_text((ended.output + ended.errors)[-20_000:], encoding="utf-8")
    if report.exists():
        shutil.copyfile(report, folder / f"{name}.json")

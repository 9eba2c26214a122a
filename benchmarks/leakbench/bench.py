"""The runs themselves: every tool on every case, a few at a time, each kept as it ends."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path

from benchmarks.leakbench.environments import BuildError, environment
from benchmarks.leakbench.folder import JobCase
from benchmarks.leakbench.process import run
from benchmarks.leakbench.score import NO_VERDICT, ScoredRun, ToolAnswer, scored
from benchmarks.leakbench.tools import TOOLS

__all__ = ["Bench", "Planned", "read_runs"]

# What the own cases import beside the standard library.
_OWN_NEEDS = ("numpy", "pandas")


@dataclass(frozen=True)
class Planned:
    """One run to come."""

    case: JobCase
    tool: str
    repeat: int
    seed: int

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What tells it from every other run of the same folder of results."""
        return (self.tool, self.case.name, self.case.variant, self.repeat, self.seed)


class Bench:
    """Carries out what is planned, and appends each run to `results.jsonl` in `folder`."""

    def __init__(self, folder: Path, *, jobs: int, timeout: float) -> None:
        self.folder = folder
        self.jobs = jobs
        self.timeout = timeout
        self._cancelled = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def results(self) -> Path:
        """One finished run a line."""
        return self.folder / "results.jsonl"

    def carry_out(
        self, plan: Sequence[Planned], progress: Callable[[ScoredRun], None]
    ) -> list[ScoredRun]:
        """Every run of the plan; those that `results.jsonl` has already are not repeated."""
        wanted = {planned.key for planned in plan}
        done = {key: run for run in read_runs(self.results) if (key := _key(run)) in wanted}
        open_ones = [planned for planned in plan if planned.key not in done]
        for finished in self._run_all(open_ones):
            with self.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(finished)) + "\n")
            done[_key(finished)] = finished
            progress(finished)
        return [done[planned.key] for planned in plan]

    def _run_all(self, plan: Sequence[Planned]) -> Iterator[ScoredRun]:
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = [pool.submit(self._run_one, planned) for planned in plan]
            try:
                for future in as_completed(waiting):
                    yield future.result()
            except BaseException:
                self._cancelled.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _run_one(self, planned: Planned) -> ScoredRun:
        case, tool = planned.case, TOOLS[planned.tool]
        try:
            python = str(_interpreter(case, tool.extras))
        except BuildError as error:
            return self._score(planned, ToolAnswer(NO_VERDICT, note=str(error)[-400:]), 0.0)
        # A folder of its own, so that what one job leaves behind is not counted at another's.
        scratch = Path(tempfile.mkdtemp(prefix="leakbench-"))
        report = scratch / "report" / "run.json"
        spool = scratch / "tmp"
        spool.mkdir()
        try:
            ended = run(
                tool.command(case.target, python, report),
                {**case.environment, **tool.environment, "TMPDIR": str(spool)},
                self.timeout,
                self._cancelled.is_set,
            )
            reading = tool.read(ended, report)
            finished = self._score(planned, reading, ended.seconds)
            self._keep(finished, report, ended.output + ended.errors)
            return finished
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _score(self, planned: Planned, reading: ToolAnswer, seconds: float) -> ScoredRun:
        return scored(
            planned.case,
            planned.tool,
            reading,
            repeat=planned.repeat,
            seed=planned.seed,
            seconds=seconds,
        )

    def _keep(self, finished: ScoredRun, report: Path, output: str) -> None:
        """Of what went wrong, and of wrong lines, the evidence is kept."""
        if (
            finished.as_expected
            and finished.right_metric is not False
            and finished.right_site
            in (
                None,
                True,
            )
        ):
            return
        name = f"{finished.tool}-{finished.case}-{finished.variant}-{finished.seed}"
        kept = self.folder / "wrong" / f"{name}-{finished.repeat}"
        kept.parent.mkdir(exist_ok=True)
        kept.with_suffix(".txt").write_text(output[-20000:], encoding="utf-8")
        if report.exists():
            shutil.copyfile(report, kept.with_suffix(".json"))


def _interpreter(case: JobCase, extras: tuple[str, ...]) -> Path:
    if case.requirements is not None:
        return environment(case.requirements, case.python, extras)
    if not extras:
        return Path(sys.executable)
    needs = "\n".join(f"{name}=={metadata.version(name)}" for name in _OWN_NEEDS)
    return environment(needs, case.python, extras)


def read_runs(path: Path) -> list[ScoredRun]:
    """The runs in a file of results; a last line cut short by an interruption is left out."""
    if not path.exists():
        return []
    runs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        runs.append(_run(data))
    return runs


def _run(data: dict[str, object]) -> ScoredRun:
    known = {field.name for field in fields(ScoredRun)}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data.items()
        if name in known
    }
    return ScoredRun(**values)  # type: ignore[arg-type]


def _key(run: ScoredRun) -> tuple[str, str, str, int, int]:
    return (run.tool, run.case, run.variant, run.repeat, run.seed)

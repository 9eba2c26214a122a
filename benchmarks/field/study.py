"""One release under the gate, and the table of all of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.field.packages import PACKAGES, WORKLOADS, Package
from benchmarks.leakbench.environments import BuildError, environment
from leak_suite.result import Outcome, RunResult

__all__ = ["Judged", "judged", "known", "saved", "table"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "3.11"
RUN_SECONDS = 300.0
"""A run ends by itself after a minute and its trace; what takes longer hangs."""


@dataclass(frozen=True)
class Judged:
    """What the gate said of one release. `line` names the place of the leading finding.

    `outcome` is "failed" where the release could not be installed or the workload not be run;
    `said` then ends with why. `seconds` are those of the whole command.
    """

    package: str
    version: str
    outcome: str
    said: str
    line: str
    seconds: float

    @property
    def is_alarm(self) -> bool:
        """Whether the gate would have stopped a pipeline."""
        return self.outcome in (Outcome.GROWING.value, Outcome.OVER_BUDGET.value)


def judged(package: Package, release: tuple[str, ...], keep: Path | None = None) -> Judged:
    """Install the release beside the gate and run it; the run file is kept in `keep`."""

    def answer(outcome: str, said: str, line: str = "", seconds: float = 0.0) -> Judged:
        version = package.version(release)
        return Judged(package.name, version, outcome, said, line, round(seconds, 1))

    try:
        python = environment("\n".join([*release, f"-e {ROOT}", "memray"]), PYTHON)
    except BuildError as error:
        return answer("failed", str(error)[-200:])
    with tempfile.TemporaryDirectory(prefix="field-") as folder:
        kept = (keep or Path(folder)) / f"{package.name}-{package.version(release)}.json"
        command = [str(python.with_name("leak-suite")), "run", "--quiet", "--output", str(kept)]
        environ = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        environ.pop("PYTHONPATH", None)
        started = time.monotonic()
        ended = subprocess.run(
            [*command, *package.arguments], cwd=WORKLOADS, env=environ, check=False,
            capture_output=True, text=True, timeout=RUN_SECONDS,
        )  # fmt: skip
        seconds = time.monotonic() - started
        if not kept.exists():
            return answer("failed", (ended.stderr or ended.stdout).strip()[-200:])
        result = RunResult.from_json(kept.read_text(encoding="utf-8"))
    said = f"{result.iterations:,} iterations"
    line = ""
    for finding in result.findings:
        if finding.outcome in (Outcome.GROWING, Outcome.OVER_BUDGET):
            said = finding.reason
            site = next(iter(finding.sites), None)
            line = "" if site is None else f"{Path(site.file).name}:{site.line}"
            break
    return answer(result.outcome.value, said, line, seconds)


def known(path: Path) -> list[Judged]:
    """What was judged before; empty where there is no such file."""
    if not path.exists():
        return []
    return [Judged(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def saved(path: Path, rows: Iterable[Judged]) -> list[Judged]:
    """Put the rows in place of earlier ones of the same releases; all, in the packages' order."""
    merged = {(row.package, row.version): row for row in [*known(path), *rows]}
    order = [(p.name, p.version(release)) for p in PACKAGES for release in p.releases]
    found = [merged[key] for key in order if key in merged]
    path.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n", encoding="utf-8")
    return found


def table(rows: Sequence[Judged]) -> str:
    """The rows as a Markdown table, and the precision in a sentence."""
    packages = {package.name: package for package in PACKAGES}
    lines = [
        "| package | release | an iteration | verdict | line | what it was | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        package = packages[row.package]
        what = dict(package.explained).get(row.version, "")
        cells = (row.package, row.version, package.does, row.outcome, row.line, what)
        lines.append(f"| {' | '.join(cells)} | {row.seconds:.1f} |")
    alarms = [row for row in rows if row.is_alarm]
    true = [r for r in alarms if dict(packages[r.package].explained).get(r.version)]
    undecided = sum(row.outcome not in ("stable", "growing", "over budget") for row in rows)
    lines += [
        "",
        f"{len({row.package for row in rows})} packages, {len(rows)} releases: "
        f"{len(alarms)} alarms, {len(true)} of them explained by the package's source; "
        f"{undecided} releases without a verdict.",
    ]
    return "\n".join(lines)

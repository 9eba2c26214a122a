"""What the pipeline bench measured, as medians, as ratios of runs side by side, and as a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from reference_app.memory.allocator import worker_environment

__all__ = ["Cost", "Measured", "markdown", "run", "write"]

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    left_mib: float


@dataclass
class Measured:
    """All runs of one clip, by variant, in the order in which they were made."""

    clip: str
    runs: dict[str, list[Cost]]

    def middle(self, variant: str, field: str) -> float:
        """The median of a variant's runs."""
        return median(float(getattr(cost, field)) for cost in self.runs[variant])

    def ratio(self, field: str, variant: str, against: str) -> float:
        """The median of the ratios of runs that were made one after the other."""
        pairs = zip(self.runs[variant], self.runs[against], strict=False)
        return median(float(getattr(a, field) / getattr(b, field)) for a, b in pairs)


def run(variant: str, clip: Path) -> Cost:
    """One variant in a fresh process that is configured as a worker is."""
    environment = {**os.environ, **worker_environment(), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.pipeline_variants", variant, str(clip)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"the variant {variant!r} failed:\n{ran.stderr[-2000:]}")
    return Cost(**json.loads(ran.stdout.splitlines()[-1]))


def markdown(measured: Measured, bars: dict[str, tuple[float, float]]) -> str:
    """The table of one clip, and what was asked of it."""
    lines = [
        f"### {measured.clip}",
        "",
        "| variant | runs | wall s | CPU s | peak MiB | on disk at the end, MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, costs in measured.runs.items():
        wall, cpu, peak, left = (
            measured.middle(name, field) for field in ("wall_s", "cpu_s", "peak_mib", "left_mib")
        )
        lines.append(
            f"| {name} | {len(costs)} | {wall:.2f} | {cpu:.2f} | {peak:.1f} | {left:.1f} |"
        )
    lines += ["", "| ratio | measured | at most |", "|---|---:|---:|"]
    lines += [f"| {name} | {value:.3f} | {bar:.2f} |" for name, (value, bar) in bars.items()]
    return "\n".join(lines) + "\n"


def write(folder: Path, results: list[tuple[Measured, dict[str, tuple[float, float]]]]) -> None:
    """Keep the figures as `bench.json` and the tables as `bench.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        measured.clip: {
            "variants": {n: [asdict(c) for c in costs] for n, costs in measured.runs.items()},
            "ratios": {n: {"measured": v, "at_most": bar} for n, (v, bar) in bars.items()},
        }
        for measured, bars in results
    }
    (folder / "bench.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    tables = "\n".join(markdown(measured, bars) for measured, bars in results)
    (folder / "bench.md").write_text(f"# The pipeline, side by side\n\n{tables}", encoding="utf-8")

"""The command line: what to run, how often, with which tools, and where the results go."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.leakbench.bench import Bench, Planned
from benchmarks.leakbench.cases.table import OWN_CASES
from benchmarks.leakbench.folder import JobCase, own_cases, read_folder
from benchmarks.leakbench.picture import draw
from benchmarks.leakbench.score import ScoredRun, score
from benchmarks.leakbench.tables import (
    CASE_COLUMNS,
    TOOL_COLUMNS,
    case_rows,
    markdown,
    rich_table,
    tool_rows,
)
from benchmarks.leakbench.tools import TOOLS

__all__ = ["main"]

OWN = "own"
_COMPARED = ("leak-suite", "psleak", "pytest-memray", "leak-hunter", "memray-attach", "rss")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the gate under test was right everywhere, 1 where it was not, 2 on bad usage."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        plan = _plan(options)
    except (FileNotFoundError, ValueError) as error:
        console.print(f"[red]{error}")
        return 2
    console.print(f"seed {options.seed}; {len(plan)} runs, {options.jobs} at a time")
    bench = Bench(options.output, jobs=options.jobs, timeout=options.timeout)
    runs = _with_progress(bench, plan, console, quiet=options.quiet)
    _present(runs, options)
    gate = [run for run in runs if run.tool == options.tools[0] and not run.below_bar]
    return 0 if all(run.as_expected for run in gate) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leakbench", description=__doc__)
    add = parser.add_argument
    cases = f"folder of cases, or the word `{OWN}` for the project's own (the default)"
    add("folder", nargs="?", default=OWN, help=cases)
    add("--repeat", type=int, default=5, help="repetitions of every case (default 5)")
    add("--seed", type=int, default=random.randrange(10**6), help="of the own cases' sizes")
    tools = f"of {','.join(TOOLS)} (default: all but verdict-only)"
    add("--tools", type=_tools, default=_COMPARED, help=tools)
    add("--only", action="append", default=[], help="cases whose name or variant contains this")
    add("--jobs", type=int, default=2, help="runs at a time (default 2)")
    add("--timeout", type=float, default=180.0, help="seconds for one run (default 180)")
    add("-o", "--output", type=Path, default=Path("reports/out/leakbench"), help="results folder")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def _tools(text: str) -> tuple[str, ...]:
    names = tuple(text.replace("leak_suite", "leak-suite").split(","))
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there is {list(TOOLS)}")
    return names


def _plan(options: argparse.Namespace) -> list[Planned]:
    """Round by round, so that an interrupted run has seen every case alike."""
    planned = [
        Planned(case, tool, repeat, seed)
        for repeat in range(options.repeat)
        for seed in [options.seed + repeat if options.folder == OWN else 0]
        for case in _cases(options.folder, seed)
        for tool in options.tools
        if _wanted(case, options.only)
    ]
    if not planned:
        raise ValueError(f"no case matches {options.only}")
    return planned


def _cases(folder: str, seed: int) -> tuple[JobCase, ...]:
    if folder != OWN:
        return read_folder(Path(folder).resolve())
    return own_cases(OWN_CASES, seed, f"{sys.version_info.major}.{sys.version_info.minor}")


def _wanted(case: JobCase, only: Sequence[str]) -> bool:
    return not only or any(part in case.key for part in only)


def _with_progress(
    bench: Bench, plan: Sequence[Planned], console: Console, *, quiet: bool
) -> list[ScoredRun]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("runs", total=len(plan))

        def on_run(run: ScoredRun) -> None:
            progress.advance(task)
            if not run.as_expected:
                console.print(f"{run.tool} {run.case}/{run.variant} #{run.repeat}: {run.outcome}")

        return bench.carry_out(plan, on_run)


def _present(runs: Sequence[ScoredRun], options: argparse.Namespace) -> None:
    title = f"leakbench: {options.folder if options.folder == OWN else Path(options.folder).name}"
    cases, tools = case_rows(runs), tool_rows(runs)
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(rich_table("cases", CASE_COLUMNS, cases))
    console.print(rich_table(title, TOOL_COLUMNS, tools))
    folder: Path = options.output
    summary = {
        "folder": title,
        "seed": options.seed,
        "repeat": options.repeat,
        "tools": [asdict(score(tool, runs)) for tool in options.tools],
        "runs": [asdict(run) for run in runs],
    }
    (folder / "results.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    text = f"# {title}\n\nSeed {options.seed}, {options.repeat} repetitions.\n\n"
    text += markdown(TOOL_COLUMNS, tools) + "\n" + markdown(CASE_COLUMNS, cases)
    (folder / "results.md").write_text(text, encoding="utf-8")
    draw(runs, folder / "results.png", title)
    console.print(f"seed {options.seed}; {folder}/results.json, .md, .png")

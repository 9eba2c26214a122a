"""The tables, for the terminal and as Markdown, from scored runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.table import Table

from benchmarks.leakbench.score import ScoredRun, ToolScore, score
from benchmarks.proportions import wilson

__all__ = ["case_rows", "markdown", "rich_table", "tool_rows"]

TOOL_COLUMNS = (
    "tool",
    "caught",
    "false alarms (95%)",
    "no verdict",
    "median s",
    "max s",
    "right metric",
    "surest metric",
    "right line",
)
CASE_COLUMNS = ("case", "tool", "outcomes", "metrics", "right metric", "first site", "seconds")


def tool_rows(runs: Sequence[ScoredRun]) -> list[tuple[str, ...]]:
    """One row for each tool."""
    return [_tool_row(score(tool, runs)) for tool in _distinct(run.tool for run in runs)]


def _tool_row(row: ToolScore) -> tuple[str, ...]:
    low, high = wilson(*row.false_alarms)
    alarms = f"{_of(row.false_alarms)} ({low:.1%}-{high:.1%})" if row.false_alarms[1] else "-"
    return (
        row.tool,
        _of(row.caught),
        alarms,
        _of(row.no_verdict),
        f"{row.median_seconds:.1f}",
        f"{row.worst_seconds:.1f}",
        _of(row.right_metric),
        _of(row.strict_metric),
        _of(row.right_site),
    )


def case_rows(runs: Sequence[ScoredRun]) -> list[tuple[str, ...]]:
    """One row for each case and tool, its repetitions together; what is wrong is marked."""
    rows: list[tuple[str, ...]] = []
    for case in _distinct(f"{run.case}/{run.variant}" for run in runs):
        of_case = [run for run in runs if f"{run.case}/{run.variant}" == case]
        rows += [
            _case_row(case, [run for run in of_case if run.tool == tool])
            for tool in _distinct(run.tool for run in of_case)
        ]
    return rows


def _case_row(case: str, runs: Sequence[ScoredRun]) -> tuple[str, ...]:
    outcomes = Counter(run.outcome for run in runs)
    wrong = "" if all(run.as_expected for run in runs) else " ✗"
    words = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
    metrics = Counter(metric for run in runs for metric in run.metrics)
    judged = [run.right_metric for run in runs if run.right_metric is not None]
    sites = Counter(_short(run.first_site) for run in runs if run.first_site)
    return (
        case,
        runs[0].tool,
        words + wrong,
        " ".join(metrics),
        f"{sum(judged)}/{len(judged)}" if judged else "-",
        sites.most_common(1)[0][0] if sites else "-",
        f"{median(run.seconds for run in runs):.1f}",
    )


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    escaped = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {line} |" for line in escaped) + "\n"


def rich_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table for the terminal."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row, style="red" if any(cell.endswith("✗") for cell in row) else None)
    return table


def _of(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[1] else "-"


def _short(site: str) -> str:
    place, _, function = site.partition(" ")
    return " ".join(["/".join(place.split("/")[-2:]), function.rpartition(".")[2]]).strip()


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))

"""Leakbench's judgement of the judges, on made-up readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.leakbench.folder import JobCase
from benchmarks.leakbench.score import (
    GROWING,
    NO_VERDICT,
    STABLE,
    ScoredRun,
    ToolAnswer,
    score,
    scored,
)
from benchmarks.leakbench.tables import case_rows, markdown, tool_rows
from benchmarks.proportions import wilson

LEAKY = JobCase(
    "list",
    "leaky",
    "job.py:job",
    "3.11",
    None,
    ("blocks", "rss"),
    "blocks",
    "/a/b.py",
    frozenset({7}),
)
FIXED = JobCase("list", "fixed", "job.py:job", "3.11", None)


def run_of(case: JobCase, reading: ToolAnswer, seconds: float = 1.0) -> ScoredRun:
    """One run of a tool called `gate`."""
    return scored(case, "gate", reading, repeat=0, seed=1, seconds=seconds)


def growing(*metrics: str, sites: tuple[str, ...] = ()) -> ToolAnswer:
    """A finding of growth by a tool that names metrics and lines."""
    return ToolAnswer(GROWING, metrics, sites, names_metrics=True, names_lines=True)


def test_growth_in_a_leaky_case_is_right_and_in_a_fixed_one_a_false_alarm() -> None:
    row = score("gate", [run_of(LEAKY, growing("rss")), run_of(FIXED, growing("rss"))])
    assert row.caught == (1, 1)
    assert row.false_alarms == (1, 1)
    assert row.no_verdict == (0, 2)


def test_no_verdict_is_a_miss_of_a_leak_and_no_false_alarm() -> None:
    row = score("gate", [run_of(case, ToolAnswer(NO_VERDICT)) for case in (LEAKY, FIXED)])
    assert (row.caught, row.false_alarms, row.no_verdict) == ((0, 1), (0, 1), (2, 2))


def test_a_metric_that_grows_in_truth_is_right_and_only_the_surest_is_a_strict_match() -> None:
    rss = run_of(LEAKY, growing("rss"))
    both = run_of(LEAKY, growing("rss", "blocks"))
    assert (rss.right_metric, rss.strict_metric) == (True, False)
    assert (both.right_metric, both.strict_metric) == (True, True)


def test_another_view_of_the_same_memory_is_the_same_metric() -> None:
    assert run_of(LEAKY, growing("rss_anon")).right_metric


def test_a_metric_that_does_not_grow_in_truth_is_wrong_and_listed_as_stray() -> None:
    run = run_of(LEAKY, growing("fds"))
    assert run.right_metric is False
    assert run.stray_metrics == ("fds",)


def test_only_the_first_site_counts() -> None:
    assert run_of(LEAKY, growing("blocks", sites=("/a/b.py:7 job", "/a/c.py:1 f"))).right_site
    second = run_of(LEAKY, growing("blocks", sites=("/a/c.py:7 f", "/a/b.py:7 job")))
    assert second.right_site is False
    assert run_of(LEAKY, growing("blocks")).right_site is False


def test_lines_are_not_asked_of_a_tool_that_names_none_or_a_case_without_known_lines() -> None:
    silent = ToolAnswer(GROWING, ("blocks",), names_metrics=True)
    assert run_of(LEAKY, silent).right_site is None
    unknown = JobCase("real", "leaky", "job.py:job", "3.11", "", ("blocks",), "blocks")
    assert run_of(unknown, growing("blocks", sites=("/a/b.py:7 job",))).right_site is None


def test_leaks_below_the_bar_are_left_out_of_what_was_caught() -> None:
    small = JobCase("small", "leaky", "job.py:job", "3.11", None, ("blocks",), below_bar=True)
    row = score("gate", [run_of(small, ToolAnswer(STABLE)), run_of(LEAKY, growing("blocks"))])
    assert row.caught == (1, 1)


def test_native_leaks_are_left_out_of_the_right_lines() -> None:
    native = JobCase(
        "c",
        "leaky",
        "job.py:job",
        "3.11",
        None,
        ("heap",),
        "heap",
        "/a/b.py",
        frozenset({7}),
        python_level=False,
    )
    row = score("gate", [run_of(native, growing("heap", sites=("/x.c:1 malloc",)))])
    assert row.right_site == (0, 0)


def test_median_and_worst_seconds_are_over_leaky_and_clean_runs() -> None:
    runs = [run_of(LEAKY, growing("rss"), s) for s in (1.0, 9.0)]
    runs.append(run_of(FIXED, ToolAnswer(STABLE), 2.0))
    row = score("gate", runs)
    assert (row.median_seconds, row.worst_seconds) == (2.0, 9.0)


def test_wilson_agrees_with_the_published_example() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    # The same table, 0 of 20: 0.0000 to 0.1611.
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_the_interval_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_tables_show_what_was_wrong() -> None:
    runs = [run_of(LEAKY, growing("rss", sites=(f"{Path('/a/b.py')}:7 f.<locals>.job",)))]
    runs.append(run_of(LEAKY, ToolAnswer(STABLE)))
    (row,) = case_rows(runs)
    assert row[2] == "growing 1, stable 1 ✗"
    assert row[5] == "a/b.py:7 job"
    (tool,) = tool_rows(runs)
    assert tool[:2] == ("gate", "1/2")


def test_a_bar_in_a_cell_does_not_break_the_markdown() -> None:
    assert markdown(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"

"""Every form says the verdict first, the site second, and what could not be seen."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leak_suite.clauses import Clause, ClauseKind, plain
from leak_suite.compare import Comparison
from leak_suite.errors import ConfigurationError
from leak_suite.places import Place
from leak_suite.render import (
    RENDERERS,
    RenderSettings,
    cause_lines,
    failure_message,
    headline,
    junit_properties,
    render,
)
from leak_suite.result import Agents, Cause, Details, Finding, Outcome, RunResult, Site

HEAP = Finding(
    "heap",
    "bytes",
    Outcome.GROWING,
    cause=Cause.LEAK,
    rate=1044.0,
    interval=(1034.0, 1054.0),
    detectable_rate=12.3,
    longest_period=400,
    peak=45.0 * 1024**2,
    clauses=plain("it grew in every round"),
    sites=(
        Site(
            "src/jobs.py", 12, "run", 1024.0, (Place("src/base.py", 20, "outer"),), "list of bytes"
        ),
    ),
)
FDS = Finding("fds", "files", Outcome.STABLE, rate=0.0, detectable_rate=0.01, longest_period=2000)
BLIND = Finding(
    "pss", "bytes", Outcome.INCONCLUSIVE, Cause.BLIND, clauses=plain("smaps cannot be read")
)
RESULT = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(FDS, BLIND, HEAP))


def test_the_first_line_is_the_verdict() -> None:
    first = render(RESULT).splitlines()[0]
    assert first == headline(RESULT) == "GROWING: heap grows by 1.02 KiB per iteration"


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (
            "memray cannot be used there (ModuleNotFoundError: No module named 'memray')",
            "is missing",
        ),
        ("memray cannot be used there (RuntimeError: it is in use)", "could not be used"),
    ],
)
@pytest.mark.parametrize("form", [form for form in RENDERERS if form != "json"])
def test_every_form_says_that_memray_was_missing(form: str, note: str, words: str) -> None:
    if form == "html":
        pytest.importorskip("jinja2")
    by = (Clause(ClauseKind.SITES_BY, text="tracemalloc"), Clause(ClauseKind.SITES_NOTE, text=note))
    heap = replace(HEAP, clauses=(*HEAP.clauses, *by))
    result = replace(RESULT, findings=(FDS, heap))
    text = html.unescape(" ".join(render(result, form).split()))
    assert f"memray {words} where the subject runs, so tracemalloc traced it" in text
    assert any("Install memray there" in value for _, value in junit_properties(result))
    assert "Install memray there" in failure_message(result)


def test_memray_is_not_mentioned_where_it_traced() -> None:
    heap = replace(HEAP, clauses=(*HEAP.clauses, Clause(ClauseKind.SITES_BY, text="memray")))
    assert "Install memray" not in render(replace(RESULT, findings=(heap,)))


def test_the_worst_metric_stands_first() -> None:
    text = render(RESULT)
    assert text.index("heap  ") < text.index("pss  ") < text.index("fds  ")


def test_the_site_stands_under_its_metric_with_its_stack_and_note() -> None:
    text = render(RESULT)
    site = text.index("src/jobs.py:12 run  1 KiB per iteration")
    assert site < text.index("list of bytes") < text.index("src/base.py:20 outer")


def test_the_report_names_what_the_run_could_not_have_seen() -> None:
    details = Details(blind={"blocks": "PYTHONMALLOC is malloc"}, not_observed=("tasks",))
    lines = " ".join(render(replace(RESULT, details=details)).split())
    assert "growth in jumps rarer than 1 in 400 iterations, of heap" in lines
    assert "12.3 B" in lines
    assert "blocks: PYTHONMALLOC is malloc" in lines
    assert "from inside only: tasks" in lines
    assert "smaps cannot be read" in lines


def test_plain_text_has_no_escape_codes_and_colour_has() -> None:
    assert "\x1b" not in render(RESULT)
    assert "\x1b[" in render(RESULT, "console", RenderSettings(colour=True))


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(RESULT)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert render(RESULT) == before


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
numbers = st.none() | st.floats(-1e15, 1e15)


@given(metric=names, unit=st.sampled_from(["bytes", "files", "objects"]), rate=numbers, name=names)
def test_no_line_is_wider_than_asked(metric: str, unit: str, rate: float | None, name: str) -> None:
    from rich.cells import cell_len

    site = Site("/very/long/" * 12 + "file.py", 3, name, rate, (name * 30,))
    finding = replace(
        HEAP, metric=metric, unit=unit, rate=rate, sites=(site,), clauses=plain(name * 9)
    )
    text = render(replace(RESULT, findings=(finding, replace(BLIND, rate=rate))))
    assert max(cell_len(line) for line in text.split("\n")) <= 80


def test_why_a_run_ended_does_not_hide_what_it_found() -> None:
    ended = replace(RESULT, reason="the 60 s for the run were up")
    assert headline(ended).startswith("GROWING: heap grows by 1.02 KiB per iteration; the 60 s")
    unclear = replace(ended, outcome=Outcome.INCONCLUSIVE, findings=(FDS, BLIND))
    assert headline(unclear) == "INCONCLUSIVE: the 60 s for the run were up; pss: blind probe"
    died = replace(unclear, findings=(), reason="it died")
    assert headline(died) == "INCONCLUSIVE: it died"


def test_markdown_cannot_be_broken_by_a_name() -> None:
    rude = replace(HEAP, metric="a|b <img> @team", sites=(Site("a`b.py", 1, "f|g"),))
    text = render(replace(RESULT, findings=(rude,)), "markdown")
    assert "a\\|b &lt;img&gt; \\@team" in text
    assert "`` a`b.py:1 f|g ``" in text


def test_markdown_starts_with_the_outcome_and_names_the_line() -> None:
    text = render(RESULT, "markdown")
    assert text.startswith("### leak-suite: growing\n")
    assert "`src/jobs.py:12 run` 1 KiB per iteration" in text


def test_json_is_the_run_file_itself() -> None:
    assert RunResult.from_json(render(RESULT, "json")) == RESULT


@pytest.mark.parametrize("form", RENDERERS)
def test_a_result_without_findings_is_rendered_too(form: str) -> None:
    nothing = RunResult("a:b", {}, Outcome.INCONCLUSIVE, 0, 0.0)
    assert "inconclusive" in render(nothing, form).lower()


def test_junit_gets_outcome_metric_rate_and_site() -> None:
    said = junit_properties(RESULT)
    assert ("leak_suite.outcome", "growing") in said
    assert ("leak_suite.metric", "heap: growing") in said
    assert ("leak_suite.rate", "heap: 1.02 KiB [1.01, 1.03] per iteration") in said
    assert ("leak_suite.site", "heap: src/jobs.py:12 run") in said
    assert not any("fds" in value for _, value in said)


def test_the_stack_of_a_place_that_two_metrics_name_is_reported_once() -> None:
    site = Site(
        "shop.py", 7, "recommend", 1.0, (Place("main.py", 3, "serve"),), "held by shop.SEEN"
    )
    findings = tuple(
        Finding(metric, "bytes", Outcome.GROWING, Cause.LEAK, 1.0, sites=(site,))
        for metric in ("heap", "rss")
    )
    text = render(RunResult("a", {}, Outcome.GROWING, 1, 1.0, findings=findings))
    assert text.count("shop.py:7 recommend") >= 2
    assert text.count("main.py:3 serve") == 1
    assert text.count("held by shop.SEEN") == 1


FAILED = replace(
    RESULT, details=Details(attribution_error="KeyError: 'x'", flamegraph_error="no space left")
)


@pytest.mark.parametrize("form", [name for name in RENDERERS if name != "json"])
def test_a_step_that_failed_after_the_verdict_is_named_in_every_form(form: str) -> None:
    text = " ".join(html.unescape(render(FAILED, form).replace("\\", "")).split())
    assert "the search for the line failed: KeyError: 'x' (run with --debug" in text
    assert "the flamegraphs failed: no space left (run with --debug" in text


def test_a_failed_test_and_its_junit_properties_name_the_step_that_failed() -> None:
    assert "the search for the line failed: KeyError: 'x'" in failure_message(FAILED)
    steps = [value for name, value in junit_properties(FAILED) if name == "leak_suite.failed_step"]
    assert len(steps) == 2


def test_a_metric_with_a_line_comes_before_one_without() -> None:
    blocks = replace(HEAP, metric="blocks", unit="blocks", rate=3.0)
    result = replace(RESULT, findings=(replace(HEAP, sites=()), blocks))
    assert headline(result).startswith("GROWING: blocks grows by 3 blocks per iteration")
    assert failure_message(result).splitlines()[1].startswith("  src/jobs.py:12 run")


@pytest.mark.parametrize(
    ("metric", "unit", "rate", "beside"),
    [
        ("heap", "bytes", 8.5, ", rss by 249 B"),
        ("heap", "bytes", 100.0, ""),
        ("blocks", "blocks", 1.0, ", rss by 249 B"),
        ("fds", "files", 1.0, ""),
    ],
)
def test_the_headline_has_what_memory_grows_by_where_its_first_metric_shows_little_of_it(
    metric: str, unit: str, rate: float, beside: str
) -> None:
    first = replace(HEAP, metric=metric, unit=unit, rate=rate)
    rss = replace(HEAP, metric="rss", rate=249.0, sites=())
    assert headline(replace(RESULT, findings=(rss, first))).endswith(f"per iteration{beside}")


def test_the_headline_leaves_out_the_memory_of_other_processes() -> None:
    first = replace(HEAP, rate=8.5)
    rss = replace(HEAP, metric="rss", rate=249.0, process="forked from celery")
    assert headline(replace(RESULT, findings=(first, rss))).endswith("8.5 B per iteration")


def test_a_cause_is_one_line_with_its_site_and_all_its_metrics() -> None:
    rss = replace(HEAP, metric="rss", sites=())
    assert cause_lines(replace(RESULT, findings=(rss, HEAP))) == (
        "src/jobs.py:12 run: heap grows by 1.02 KiB per iteration (also rss)",
    )


def test_a_format_that_cannot_show_something_says_so() -> None:
    with pytest.raises(ConfigurationError, match="--format html does not show comparisons"):
        render(Comparison(()), "html")


def test_only_html_shows_a_folder(tmp_path: Path) -> None:
    for name, renderer in RENDERERS.items():
        if name != "html":
            with pytest.raises(ConfigurationError, match="only --format html"):
                renderer.write_pages(tmp_path, None)


@pytest.mark.parametrize(
    ("agents", "sentence"),
    [
        (None, ""),
        (Agents(1, 1), ""),
        (Agents(3, 3), "The agent is in 3 of 3 Python processes."),
        (
            Agents(1, 2, ("worker (pid 7)",)),
            "The agent is in 1 of 2 Python processes; not in worker (pid 7).",
        ),
        (
            Agents(0, 0),
            "No process of this subject runs Python, so it was seen from outside only.",
        ),
    ],
)
def test_a_report_says_in_how_many_processes_the_agent_was(
    agents: Agents | None, sentence: str
) -> None:
    result = replace(RESULT, agents=agents)
    for form in ("console", "markdown", "html"):
        text = " ".join(html.unescape(render(result, form)).split())
        assert sentence in text
        assert ("agent is in" in text) is ("agent is in" in sentence)


def test_growth_in_other_processes_says_in_which() -> None:
    finding = Finding("heap", "bytes", Outcome.GROWING, rate=4096.0, process="forked from celery")
    text = headline(replace(RESULT, findings=(finding,)))
    assert "heap grows by 4 KiB per iteration in processes forked from celery" in text

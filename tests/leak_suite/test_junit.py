"""JUnit XML: a case for each metric, one failure a cause, and text that cannot break out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from leak_suite.clauses import plain
from leak_suite.compare import compare, profiles
from leak_suite.render import Renderable, render
from leak_suite.result import Cause, Finding, Outcome, RunResult, Site
from leak_suite.result_file import read_result

GOLDEN = Path(__file__).with_name("golden")
SITE = Site("src/jobs.py", 12, "run", 1024.0)
HEAP = Finding(
    "heap", "bytes", Outcome.GROWING, Cause.LEAK, 1024.0, clauses=plain("it grew"), sites=(SITE,)
)
FDS = Finding("fds", "files", Outcome.STABLE, rate=0.0)
RESULT = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(HEAP, FDS))


def suite(result: Renderable) -> ElementTree.Element:
    """The suite, whose counts are those of its cases."""
    (found,) = ElementTree.fromstring(render(result, "junit"))
    cases = found.findall("testcase")
    assert int(found.get("tests", "")) == len(cases)
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(found.get(count, "")) == sum(case.find(tag) is not None for case in cases)
    names = [case.get("name") for case in cases]
    assert len(set(names)) == len(names)
    return found


def test_a_stable_metric_passes_and_one_that_grows_fails_with_its_line() -> None:
    by_name = {case.get("name"): case for case in suite(RESULT).findall("testcase")}
    assert len(by_name["fds"]) == 0
    (failure,) = by_name["heap"]
    assert (failure.tag, failure.get("type")) == ("failure", "growing")
    assert failure.get("message") == "src/jobs.py:12: it grew"


def test_one_leak_that_shows_in_five_metrics_fails_once() -> None:
    names = ("heap", "blocks", "gc_objects", "rss", "rss_anon")
    found = suite(replace(RESULT, findings=tuple(replace(HEAP, metric=n) for n in names)))
    assert [found.get(count) for count in ("tests", "failures", "skipped")] == ["5", "1", "4"]
    assert found.findall("testcase")[1][0].get("message") == "the same cause as heap"


def test_two_leaks_that_lead_with_the_same_metric_both_fail() -> None:
    fds = [
        replace(HEAP, metric="fds", process=name, sites=(replace(SITE, line=line),))
        for name, line in (("worker", 1), ("server", 2))
    ]
    found = suite(replace(RESULT, findings=tuple(fds)))
    assert found.get("failures") == "2"


def test_what_could_not_be_judged_is_an_error_and_no_failure() -> None:
    found = suite(RunResult("jobs:run", {}, Outcome.INCONCLUSIVE, 0, 0.0, reason="it died"))
    assert (found.get("errors"), found.get("failures")) == ("1", "0")
    assert found.find("testcase/error").get("message") == "it died"  # type: ignore[union-attr]


def test_a_metric_that_was_not_needed_is_skipped() -> None:
    blind = Finding("rss", "bytes", Outcome.INCONCLUSIVE, Cause.BLIND, required=False)
    found = suite(replace(RESULT, outcome=Outcome.STABLE, findings=(FDS, blind)))
    assert [found.get(count) for count in ("failures", "errors", "skipped")] == ["0", "0", "1"]


@pytest.mark.parametrize(
    "path", sorted((GOLDEN / "runs").glob("*.json")), ids=lambda path: path.stem
)
def test_every_committed_run_file_fails_as_its_status_says(path: Path) -> None:
    result = read_result(path)
    found = suite(result)
    counts = (int(found.get("failures", "")) > 0, int(found.get("errors", "")) > 0)
    assert counts == {0: (False, False), 1: (True, False), 2: (False, True)}[result.outcome.status]


def test_a_comparison_has_a_case_for_each_measure() -> None:
    base, head = profiles(GOLDEN / "base"), profiles(GOLDEN / "runs" / "growing.json")
    comparison = compare(base, head)
    found = suite(comparison)
    assert int(found.get("tests", "")) == len(comparison.changes)
    assert found.get("failures") == "3"


def test_no_text_breaks_out_of_its_place() -> None:
    rude = replace(HEAP, metric='a"<b>&', clauses=plain("x]]>\x00\x1b[31m<failure>"))
    found = suite(replace(RESULT, subject="<&\">'", findings=(rude,)))
    assert found.find("testcase").get("name") == 'a"<b>&'  # type: ignore[union-attr]

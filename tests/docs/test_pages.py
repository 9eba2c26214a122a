"""What the pages claim: a complete reference, tests that exist, links and workflows that hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import leak_suite
from tests.docs.blocks import ROOT
from tests.docs.programs import environments
from tests.docs.reference_page import API_PAGE, PAGE, api, filled, parsers

DOCS = ROOT / "docs"


def test_the_reference_says_what_the_code_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run `python -m tests.docs.reference_page` and commit the page"


def test_the_api_page_says_what_the_docstrings_say() -> None:
    text = API_PAGE.read_text(encoding="utf-8")
    assert api() == text, "run `python -m tests.docs.reference_page` and commit the page"
    assert all(f"## `{name}`" in text for name in leak_suite.__all__)


def test_the_python_of_the_page_on_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / "use-from-python.md").read_text(encoding="utf-8")
    first, error, files = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(
        "SEEN = []\ndef order():\n    SEEN.append(bytearray(20_000))\n"
    )
    names: dict[str, object] = {}
    exec(first, names)
    with pytest.raises(leak_suite.LeakError):
        exec(error, names)
    exec(files, names)


def test_every_command_of_the_parser_is_on_the_page() -> None:
    names = {prog for prog, parser, _ in parsers() if parser._subparsers is None}
    assert {"leak-suite run", "leak-suite init", "leak-suite show"} <= names
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"### `{name}`" in text for name in names)


@pytest.mark.parametrize(
    ("page", "least"), [("memory-management.md", 50), ("among-strangers.md", 30)]
)
def test_every_test_that_the_page_names_exists(page: str, least: int) -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (DOCS / page).read_text()))
    assert len(named) > least
    sources = [*ROOT.glob("tests/*/test_*.py"), *ROOT.glob("gate/test_*.py")]
    known = {name for file in sources for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named <= known, f"no such test: {', '.join(sorted(named - known))}"


def test_each_thing_that_strangers_send_has_its_test() -> None:
    text = (DOCS / "among-strangers.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \|(.*)$", text, flags=re.MULTILINE))
    assert list(rows) == [str(number) for number in range(1, 19)]
    assert all("`test_" in row for row in rows.values())


def test_every_file_of_ours_that_a_sentence_names_exists() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    named = set()
    for page in [*DOCS.glob("*.md"), *(ROOT / p for p in ("README.md", "reports/README.md"))]:
        prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        words = (word for span in re.findall(r"`([^`]+)`", prose) for word in span.split())
        named |= {(page.name, word) for word in words if re.fullmatch(r"[\w.]+/[\w./-]+", word)}
    ours = [(page, word) for page, word in named if word.partition("/")[0] in folders]
    assert len(ours) > 20
    made = ("reports/out",)
    # `NEW.py` is a file to be written; its folder is there.
    places = [(page, word.removesuffix("NEW.py")) for page, word in ours]
    lost = [one for one in places if not (ROOT / one[1]).exists() and not one[1].startswith(made)]
    assert lost == []


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert set(re.findall(r"([\w-]+\.md)", nav)) == {page.name for page in DOCS.glob("*.md")}


def test_pictures_are_small_and_used() -> None:
    pages = " ".join(page.read_text() for page in DOCS.glob("*.md"))
    for picture in (DOCS / "img").iterdir():
        assert f"img/{picture.name}" in pages, f"{picture.name} is shown nowhere"
        assert picture.stat().st_size < 200_000


@pytest.mark.parametrize("page", ["README.md", "reports/README.md", "examples/README.md"])
def test_links_from_outside_the_site_lead_somewhere(page: str) -> None:
    file = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text()):
        if not re.match(r"\w+:", target):
            assert (file.parent / target).exists(), f"{page} links to {target}"


def test_no_page_names_a_machine() -> None:
    for page in [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "mkdocs.yml"]:
        assert not re.search(r"/(?:root|home)/|/tmp/\w", page.read_text()), page.name


def test_the_workflow_has_one_job_for_each_environment_that_ci_runs() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    named = set(re.findall(r"\{ env: (\w+),", text))
    assert named - {"docs"} <= environments()
    wanted = (ROOT / ".ci" / "run").read_text()
    jobs = re.search(r"for job in ([\w, ]+);", wanted)
    assert jobs is not None
    assert set(re.split(r"[ ,]", jobs[1])) <= named


def test_the_site_asks_no_other_host_for_fonts() -> None:
    assert re.search(r"^  font: false$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)


def test_no_text_is_cut_by_the_reference() -> None:
    assert Path(PAGE).stat().st_size > 5000

"""`--format` and `--report`: every command that gives a verdict gives it in every form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from leak_suite.cli import main
from leak_suite.cli.commands.run import RunCommand
from leak_suite.options import Options
from leak_suite.render import RENDERERS
from leak_suite.result import RunResult

GOLDEN = Path(__file__).with_name("golden")
GROWING = GOLDEN / "runs" / "growing.json"


class Check:
    """Stands where the real check does; counts how often it was asked."""

    calls = 0

    def __call__(self, spec: object, options: Options, *, on_progress: object = None) -> RunResult:
        self.calls += 1
        return RunResult.read(GROWING)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str, check: Check | None = None) -> int:
    return main(["run", "job:f", *words], [RunCommand(check or Check())])


@pytest.mark.parametrize("form", [name for name in RENDERERS if name != "html"])
def test_a_run_prints_the_form_that_it_is_asked_for(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--format", form) == 1
    printed = capsys.readouterr().out
    assert main(["show", str(GROWING), "--format", form]) == 1
    assert printed.splitlines()[:3] == capsys.readouterr().out.splitlines()[:3]


def test_one_run_writes_several_reports_and_ends_with_its_status() -> None:
    words = ["--report", "sarif=out/leaks.sarif", "--report", "junit=out/leaks.xml"]
    assert run("-o", "out/run.json", *words) == 1
    assert json.loads(Path("out/leaks.sarif").read_text())["version"] == "2.1.0"
    assert ElementTree.parse("out/leaks.xml").getroot().tag == "testsuites"
    assert RunResult.read(Path("out/run.json")).outcome.status == 1


def test_fits_and_comparisons_are_written_too() -> None:
    fit = str(GOLDEN / "runs" / "does_not_fit.json")
    for form in ("sarif", "junit", "agent", "annotations"):
        assert main(["show", fit, "--report", f"{form}=fit.{form}"]) == 1
        words = ["compare", str(GOLDEN / "base"), str(GROWING), "--report", f"{form}=c.{form}"]
        assert main(words) == 1
        assert Path(f"fit.{form}").read_text()
        assert Path(f"c.{form}").read_text()


def test_advice_is_written_in_every_form_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("sarif", "junit", "agent", "annotations"):
        assert main(["advise", str(GROWING), "--limit", "64MiB", "--format", form]) == 0
        assert main(["advise", str(GROWING), "--limit", "9MiB", "--format", form]) == 1
        assert "held by fresh workers" in capsys.readouterr().out or form != "agent"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--report", "sarif"], "must be written FORMAT=PATH"),
        (["--report", "sarif="], "must be written FORMAT=PATH"),
        (["--report", "sarfi=a"], "--report: 'sarfi' is no format here; known are console"),
        (["--format", "xml"], "--format: 'xml' is no format here"),
    ],
)
def test_a_report_that_cannot_be_made_is_said_before_anything_is_measured(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check = Check()
    assert run(*words, check=check) == 2
    assert said in capsys.readouterr().err
    assert not check.calls


def test_a_page_that_needs_an_extra_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from leak_suite.render import html_page

    html_page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    check = Check()
    assert run("--report", "html=report.html", check=check) == 2
    assert "install leak-suite[report]" in capsys.readouterr().err
    assert not check.calls
    html_page._environment.cache_clear()


def test_a_comparison_has_no_page_and_a_folder_no_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", str(GROWING), str(GROWING), "--report", "html=a.html"]) == 2
    assert "'html' is no format here" in capsys.readouterr().err
    assert main(["show", str(GOLDEN / "runs"), "--report", "sarif=a"]) == 2
    assert "--report is of one run file" in capsys.readouterr().err


def test_a_file_of_a_newer_release_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = {**json.loads(GROWING.read_text()), "schema_version": 3}
    Path("run.json").write_text(json.dumps(data))
    for words in (["show", "run.json"], ["compare", "run.json", str(GROWING)]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "run.json: schema version 3 is unknown" in said
        assert "Read the file with the release that wrote it" in said
        assert said.count("\n") == 1

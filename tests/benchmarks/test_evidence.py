"""Evidence: a run that was cut off goes on, nothing counts twice, and the page says what was so."""

from __future__ import annotations

import fcntl
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence import report, study
from benchmarks.evidence.studies import STUDIES
from benchmarks.evidence.study import Done, Figures, Study, run_once


def small(name: str = "small", code: str = "print(7)", **more: Any) -> Study:
    """A study of a line of Python, which is run three times."""
    given: dict[str, Any] = {"repetitions": 3, **more}
    return Study(
        name, "It is so", command=lambda *_: ["timeit", "-n1", "-r1", code], figures=_words, **given
    )


def _words(folder: Path) -> Figures:
    return {"number": float((folder / "output.txt").read_text().split()[0])}


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page and the figures, in a folder of the test's own."""
    monkeypatch.setattr(report, "DATA", tmp_path / "evidence.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "evidence.md")
    monkeypatch.setattr(evidence, "DATA", study.ROOT / "docs" / "evidence.json")
    report.PAGE.write_text("Before.\n<!-- studies -->\n<!-- end of studies -->\nAfter.\n")
    return tmp_path


def entry_of(pages: Path, name: str = "small") -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((pages / "evidence.json").read_text())["studies"][name]
    return entry


def only(monkeypatch: pytest.MonkeyPatch, *studies: Study) -> None:
    for module in (evidence, report):
        monkeypatch.setattr(module, "STUDIES", {one.name: one for one in studies})


def test_what_is_done_is_not_done_again(pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, small())
    out = pages / "out"
    assert evidence.main(["-o", str(out)]) == 0
    first = entry_of(pages)["dates"]
    (out / "small" / "1" / "done.json").unlink()
    assert evidence.main(["-o", str(out)]) == 0
    entry = entry_of(pages)
    assert (entry["done"], entry["as_claimed"], entry["seeds"]) == (3, 3, [1000, 1001, 1002])
    assert entry["dates"][0] == first[0]
    assert entry["figures"] == {"number": {"least": 7, "median": 7, "most": 7}}


def test_what_another_process_is_at_is_left_to_it(
    pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, small())
    folder = pages / "out" / "small" / "1"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert evidence.main(["-o", str(pages / "out")]) == 1
    assert entry_of(pages)["seeds"] == [1000, 1002]


def test_a_run_that_refutes_the_claim_is_listed_and_is_no_success(
    pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, small(expected=1))
    assert evidence.main(["-o", str(pages / "out")]) == 1
    entry = entry_of(pages)
    assert (entry["as_claimed"], entry["figures"]) == (0, {})
    assert entry["not_as_claimed"][0] == "0: status 0 in place of 1"
    assert "0 of 3 (3 not)" in (pages / "evidence.md").read_text()


def test_the_right_status_without_the_figures_is_no_success(tmp_path: Path) -> None:
    done = run_once(small(code="print('nothing')"), 0, tmp_path / "0")
    assert (done.status, done.as_expected) == (0, False)
    assert "ValueError" in done.why


def test_a_run_that_hangs_is_ended(tmp_path: Path) -> None:
    done = run_once(small(code="import time; time.sleep(60)", minutes=0.01), 0, tmp_path / "0")
    assert (done.as_expected, done.status) == (False, -1)
    assert done.seconds < 30


def test_studies_that_were_not_run_keep_their_entry(
    pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, small(), small("other"))
    assert evidence.main(["other", "-o", str(pages / "first")]) == 0
    assert evidence.main(["small", "-o", str(pages / "second")]) == 0
    assert entry_of(pages, "other")["as_claimed"] == 3
    text = (pages / "evidence.md").read_text()
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert text.count("| It is so |") == 2


def test_an_unknown_study_is_refused_with_the_way_to_find_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        evidence.main(["nothing-like-it"])
    assert stop.value.code == 2
    assert "--list names them" in capsys.readouterr().err


def test_the_page_of_the_docs_is_made_from_the_figures() -> None:
    data = json.loads(report.DATA.read_text(encoding="utf-8"))
    page = report.PAGE.read_text(encoding="utf-8")
    assert page == report.page_with(page, data)
    assert list(data["studies"]) == [name for name in STUDIES if name in data["studies"]]


def test_every_study_can_say_what_it_would_run(tmp_path: Path) -> None:
    for one in STUDIES.values():
        words = one.command(1, tmp_path)
        assert words
        assert one.claim
        assert sys.executable not in words[:1]


def test_a_repetition_survives_its_file(tmp_path: Path) -> None:
    done = run_once(small(), 2, tmp_path / "2")
    assert Done(**json.loads(json.dumps(done.to_data()))) == done
    assert (done.seed, done.figures) == (1002, {"number": 7})

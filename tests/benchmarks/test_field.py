"""The field study: its page is made from its results, and each alarm is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.field import study
from benchmarks.field.command import BEGIN, END, PAGE, RESULTS, main
from benchmarks.field.packages import PACKAGES, WORKLOADS, Package
from benchmarks.field.study import Judged, judged, known, saved, table
from benchmarks.leakbench.environments import BuildError

WIDGET = Package("httpx", "a call", (("httpx==0.28.1",),), ("use_httpx.py:job",))


def test_the_page_has_the_table_of_the_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(f"\n{END}")[0] == table(known(RESULTS))


def test_every_release_was_judged_and_every_alarm_has_its_line_and_its_reason() -> None:
    rows = known(RESULTS)
    assert len({row.package for row in rows}) == len(PACKAGES) >= 15
    assert len(rows) == sum(len(package.releases) for package in PACKAGES)
    packages = {package.name: package for package in PACKAGES}
    for row in rows:
        explained = dict(packages[row.package].explained).get(row.version)
        assert row.is_alarm == bool(explained), row
        assert row.is_alarm == bool(row.line), row


@pytest.mark.parametrize("package", PACKAGES, ids=lambda one: one.name)
def test_a_package_names_files_that_are_there(package: Package) -> None:
    files = [word.partition(":")[0] for word in package.arguments if ".py" in word]
    assert files
    assert all((WORKLOADS / file).is_file() for file in files)


def test_later_rows_take_the_place_of_earlier_ones_of_the_same_release(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    first = Judged("httpx", "0.28.1", "growing", "it grew", "use_httpx.py:9", 3.0)
    other = Judged("requests", "2.34.2", "stable", "9 iterations", "", 2.0)
    later = Judged("httpx", "0.28.1", "stable", "9 iterations", "", 2.0)
    saved(path, [other, first])
    assert saved(path, [later]) == known(path) == [later, other]


def test_an_alarm_that_nobody_explained_is_counted() -> None:
    alarm = Judged("httpx", "0.28.1", "growing", "it grew", "use_httpx.py:9", 3.0)
    assert "1 alarms, 0 of them explained" in table([alarm])


def test_a_release_that_cannot_be_installed_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Path:
        raise BuildError("no such release")

    monkeypatch.setattr(study, "environment", refused)
    found = judged(WIDGET, WIDGET.releases[0])
    assert (found.outcome, found.said) == ("failed", "no such release")


def test_an_unknown_package_is_an_error_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nothing"])
    assert "nothing is not in the study" in capsys.readouterr().err

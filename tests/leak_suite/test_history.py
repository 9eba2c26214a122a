"""History: run files are kept by commit; a change of level or growth is shown where it began."""

from __future__ import annotations

import json
import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from leak_suite.cli import main
from leak_suite.compare import profile
from leak_suite.history import History, KeptCommit, change_points, follow
from leak_suite.result import Finding, Outcome, RunResult, Series

MIB = 2**20
HERE = {"platform": "linux", "machine": "x86_64", "python": "3.11.7"}


def run(peak: float = 50 * MIB, *, rate: float | None = None, python: str = "3.11.7") -> RunResult:
    outcome = Outcome.STABLE if rate is None else Outcome.GROWING
    samples = tuple((i, peak) for i in range(1, 12))
    return RunResult(
        "job.py:work", {**HERE, "python": python}, outcome, 11, 1.0,
        (Series("peak", "bytes", samples, 1),),
        (Finding("heap", "bytes", outcome, rate=rate),),
    )  # fmt: skip


def history(*runs: RunResult) -> History:
    return follow([
        KeptCommit(f"{n:040x}", f"2026-01-{n + 1:02}T00:00:00Z", {one.subject: profile([one])})
        for n, one in enumerate(runs)
    ])  # fmt: skip


def test_a_flat_series_has_no_change_point() -> None:
    draw = random.Random(4)
    flat = [[draw.gauss(100, 1) for _ in range(30)] for _ in range(100)]
    assert sum(bool(change_points(series, 0.0)) for series in flat) <= 2


def test_a_step_is_found_where_it_is() -> None:
    draw = random.Random(5)
    for _ in range(50):
        cut = draw.randrange(4, 26)
        series = [draw.gauss(100 if i < cut else 108, 1) for i in range(30)]
        (found,) = change_points(series, 0.0)
        assert abs(found - cut) <= 1


def test_a_step_and_its_way_back_are_two_change_points() -> None:
    assert change_points([5.0] * 6 + [9.0] * 6 + [5.0] * 6, 0.5) == (6, 12)


def test_a_single_outlier_is_no_change() -> None:
    assert change_points([5.0] * 8 + [90.0] + [5.0] * 8, 0.5) == ()


def test_a_step_that_does_not_matter_is_no_change() -> None:
    assert change_points([5.0] * 8 + [5.4] * 8, 0.5) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_too_short_a_series_has_no_change_point(count: int) -> None:
    assert change_points([float(100 * n) for n in range(count)], 0.0) == ()


def test_a_level_that_rises_is_shown_with_its_commit() -> None:
    (track,) = history(*[run(50 * MIB)] * 5, *[run(60 * MIB)] * 5).tracks
    (change,) = track.changes
    assert (track.measure, change.commit) == ("peak", 5)
    assert (change.before, change.after) == (50 * MIB, 60 * MIB)


def test_growth_that_begins_is_shown_with_its_commit() -> None:
    found = history(*[run()] * 4, *[run(rate=900.0)] * 4)
    (track,) = [track for track in found.tracks if track.kind == "rate"]
    assert [change.commit for change in track.changes] == [4]
    assert found.growing == ("job.py:work",)


def test_another_python_is_a_border_and_no_change() -> None:
    (track,) = history(*[run()] * 5, *[run(90 * MIB, python="3.13.0")] * 5).tracks
    assert (track.changes, track.environments) == ((), (5,))


def test_a_commit_without_the_workload_is_a_gap() -> None:
    commits = list(history(*[run()] * 3).commits)
    commits[1] = replace(commits[1], profiles={})
    (track,) = follow(commits).tracks
    assert track.values == (50 * MIB, None, 50 * MIB)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.org")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git("init", "--quiet", "--initial-branch", "main")
    return tmp_path


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def commit(second: int) -> None:
    moment = f"2026-01-01T00:00:{second:02}Z"
    git("-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "-m", "change",
        "--date", moment)  # fmt: skip


def keep(second: int, one: RunResult, monkeypatch: pytest.MonkeyPatch, *place: str) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"2026-01-01T00:00:{second:02}Z")
    commit(second)
    one.write(Path("run.json"))
    assert main(["history", "add", "run.json", *place]) == 0


@pytest.mark.parametrize("place", [(), ("--branch", "leaks")], ids=["folder", "branch"])
def test_what_is_kept_is_shown_in_the_order_of_commits(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: tuple[str, ...],
) -> None:
    for second, peak in enumerate([50] * 3 + [60] * 3):
        keep(second, run(peak * MIB), monkeypatch, *place)
    capsys.readouterr()
    assert main(["history", "show", *place]) == 0
    text = capsys.readouterr().out
    assert text.startswith("STABLE: nothing at the last commit; 1 change point in 6 commits")
    fourth = git("rev-list", "--reverse", "main").split()[3]
    assert re.search(rf"^peak +{fourth[:9]} +50 MiB +60 MiB +\+10 MiB$", text, re.MULTILINE)


def test_a_branch_leaves_the_tree_and_the_index_alone(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(0, run(), monkeypatch, "--branch", "leaks")
    keep(1, run(), monkeypatch, "--branch", "leaks")
    assert git("status", "--porcelain") == "?? run.json\n"
    assert git("rev-list", "--count", "leaks").strip() == "2"
    assert git("rev-parse", "--abbrev-ref", "HEAD").strip() == "main"


def test_a_branch_can_be_committed_where_git_knows_nobody(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(0)
    run().write(Path("run.json"))
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.delenv(f"{name}_NAME")
        monkeypatch.delenv(f"{name}_EMAIL")
    monkeypatch.setenv("HOME", str(repository / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(repository / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git("config", "user.useConfigOnly", "true")
    assert main(["history", "add", "run.json", "--branch", "leaks"]) == 0
    assert git("log", "-1", "--format=%an", "leaks").strip() == "leak-suite"


def test_the_same_run_file_is_kept_once(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(0, run(), monkeypatch)
    assert main(["history", "add", "run.json"]) == 0
    assert len(list(repository.glob("reports/history/*/*.json"))) == 1


def test_html_draws_each_figure_and_json_has_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    for second, peak in enumerate([50] * 3 + [60] * 3):
        keep(second, run(peak * MIB), monkeypatch)
    assert main(["history", "show", "--format", "html", "-o", "page.html"]) == 0
    page = Path("page.html").read_text()
    assert page.count("<circle") == 6
    assert page.count('class="changed"') == 1
    capsys.readouterr()
    assert main(["history", "show", "--format", "json"]) == 0
    (track,) = json.loads(capsys.readouterr().out)["tracks"]
    assert track["values"] == [50.0 * MIB] * 3 + [60.0 * MIB] * 3


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["history", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_repository_without_a_commit_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run().write(Path("run.json"))
    assert "has no commit yet" in refused(capsys, "add", "run.json")


def test_a_folder_outside_of_a_repository_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    run().write(Path("run.json"))
    assert "not a git repository" in refused(capsys, "add", "run.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "run.json", "--commit", "nowhere"), "--commit: there is no commit 'nowhere'"),
        (("add", "empty"), "there is no run file to keep"),
        (("add", "run.json", "--branch", "main"), "--branch: main is checked out"),
        (("add", "run.json", "--branch", "a..b"), "git check-ref-format"),
        (("show",), "reports/history: no such folder; leak-suite history add makes it"),
        (("show", "--folder", "empty"), "empty: no runs are kept there"),
        (("show", "--branch", "nowhere"), "there is no branch nowhere"),
        (("show", "--last", "0"), "--last must be at least 1"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    repository: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    commit(0)
    Path("empty").mkdir()
    run().write(Path("run.json"))
    assert said in refused(capsys, *words)


def test_a_run_file_of_a_newer_version_is_refused_and_nothing_is_kept(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(0)
    run().write(Path("run.json"))
    data = json.loads(Path("run.json").read_text())
    Path("newer.json").write_text(json.dumps({**data, "schema_version": 99}))
    assert "99" in refused(capsys, "add", "run.json", "newer.json")
    assert not Path("reports").exists()


def test_two_baselines_of_one_workload_are_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(0, run(), monkeypatch)
    assert main(["baseline", "update", "run.json", "-o", "kept"]) == 0
    (one,) = Path("kept").iterdir()
    (folder,) = Path("reports/history").iterdir()
    for path in folder.iterdir():
        path.unlink()
    for name in ("a.json", "b.json"):
        (folder / name).write_text(one.read_text())
    assert "job.py:work has more than one baseline" in refused(capsys, "show")

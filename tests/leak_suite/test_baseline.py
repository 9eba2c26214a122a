"""Baselines: small files, the same for the same runs, and refused where they do not belong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leak_suite.cli import main
from leak_suite.compare import profile, profiles, read_runs, update_baselines
from leak_suite.errors import ConfigurationError
from leak_suite.result import Finding, Outcome, RunResult, Series

HERE = {
    "platform": "linux",
    "machine": "x86_64",
    "python": "3.11.7",
    "executable": "/home/somebody/bin/python",
}


def run(peak: float = 5e7, *, rate: float | None = None, subject: str = "job.py:work") -> RunResult:
    growing = Outcome.STABLE if rate is None else Outcome.GROWING
    samples = tuple((i, peak) for i in range(1, 12))
    return RunResult(
        subject, HERE, growing, 11, 1.0,
        (Series("peak", "bytes", samples, 1), Series("rss", "bytes", samples, 1)),
        (Finding("heap", "bytes", growing, rate=rate), Finding("fds", "fds", Outcome.STABLE)),
    )  # fmt: skip


def test_a_baseline_says_the_same_as_the_runs_that_it_was_made_from(tmp_path: Path) -> None:
    runs = [run(5e7), run(5e7 + 4096), run(5e7 + 8192)]
    update_baselines(runs, tmp_path)
    (kept,) = profiles(tmp_path)
    made = profile(runs)
    assert kept.levels["peak"].value == made.levels["peak"].value
    assert kept.levels["peak"].runs == 3
    assert {m: g.outcome for m, g in kept.growth.items()} == {
        m: g.outcome for m, g in made.growth.items()
    }


def test_a_known_leak_is_kept_with_its_rate(tmp_path: Path) -> None:
    update_baselines([run(rate=800.123456)], tmp_path)
    (kept,) = profiles(tmp_path)
    assert kept.growth["heap"].rate == pytest.approx(800.1)


def test_the_file_is_small_and_tells_no_path_of_the_machine(tmp_path: Path) -> None:
    (path,) = update_baselines([run()], tmp_path)
    text = path.read_text()
    assert path.name == "job_py_work.json"
    assert "somebody" not in text
    assert len(text) < 2500
    assert max(map(len, text.splitlines())) < 100
    update_baselines([run()], tmp_path)
    assert path.read_text() == text


def test_the_command_writes_one_for_each_workload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run().write(tmp_path / "out" / "a.json")
    run().write(tmp_path / "out" / "b.json")
    run(subject="job.py:other", rate=800.0).write(tmp_path / "out" / "c.json")
    (tmp_path / "out" / "bench.json").write_text('{"cases": []}')
    assert main(["baseline", "update", "out"]) == 0
    said = capsys.readouterr().out
    assert "wrote reports/baselines/job_py_other.json" in said
    assert "job.py:other grows" in said
    assert len(list((tmp_path / "reports" / "baselines").iterdir())) == 2
    assert main(["compare", "reports/baselines", "out"]) == 0


def test_a_baseline_of_another_platform_is_refused_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = update_baselines([run()], tmp_path / "kept")
    before = path.read_text()
    elsewhere = replace(run(), environment={**HERE, "python": "3.12.1"})
    elsewhere.write(tmp_path / "run.json")
    arguments = ["baseline", "update", str(tmp_path / "run.json"), "-o", str(tmp_path / "kept")]
    assert main(arguments) == 2
    assert "another platform: they are of different Pythons" in capsys.readouterr().err
    assert path.read_text() == before


def test_nothing_is_written_where_one_of_the_runs_is_inconclusive(tmp_path: Path) -> None:
    unclear = replace(run(subject="job.py:b"), outcome=Outcome.INCONCLUSIVE, reason="it hung")
    with pytest.raises(ConfigurationError, match=r"cannot be a baseline: .*it hung"):
        update_baselines([run(), unclear], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"schema_version": 9}, "baseline of version 9"), ({"levels": 3}, "not a baseline of")],
)
def test_a_baseline_that_cannot_be_read_is_status_2(
    tmp_path: Path, change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = update_baselines([run()], tmp_path / "kept")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    run().write(tmp_path / "run.json")
    assert main(["compare", str(path), str(tmp_path / "run.json")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("fit", [{"kind": "fit"}, {"details": {"fit": {}}}])
def test_a_run_file_of_fit_in_a_folder_is_left_alone(tmp_path: Path, fit: dict[str, Any]) -> None:
    run().write(tmp_path / "a.json")
    data = {"schema_version": 1, "subject": "fit", **fit}
    (tmp_path / "b.json").write_text(json.dumps(data))
    assert [r.subject for r in read_runs([tmp_path])] == ["job.py:work"]


def test_the_committed_baselines_can_be_read() -> None:
    folder = Path(__file__).resolve().parents[2] / "reports" / "baselines"
    assert {one.environment["platform"] for one in profiles(folder)} == {"linux"}

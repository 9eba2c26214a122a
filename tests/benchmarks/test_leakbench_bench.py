"""Leakbench's runs: folders, environments, limits, and going on where one stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.leakbench import bench as bench_module
from benchmarks.leakbench import environments, process
from benchmarks.leakbench.bench import Bench, Planned, read_runs
from benchmarks.leakbench.cases.table import OWN_CASES
from benchmarks.leakbench.command import main
from benchmarks.leakbench.environments import BuildError, find_python, key_of
from benchmarks.leakbench.folder import JobCase, own_cases, read_folder

JOB = "N = []\n\n\ndef job():\n    N.append(bytes(4096))\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one pair and one clean case."""
    for name, variants in {"pair": ("leaky", "fixed"), "calm": ("clean",)}.items():
        case = tmp_path / "cases" / name
        case.mkdir(parents=True)
        (case / "job.py").write_text(JOB, encoding="utf-8")
        (case / "python.txt").write_text("3.11\n", encoding="utf-8")
        for variant in variants:
            (case / f"{variant}.txt").write_text("", encoding="utf-8")
    index = [
        {"name": "pair", "metric_that_grows": "heap", "grows_in": ["heap", "rss"]},
        {"name": "calm", "metric_that_grows": None},
    ]
    (tmp_path / "cases" / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return tmp_path / "cases"


def here(name: str = "calm", variant: str = "clean", target: str = "job.py:job") -> JobCase:
    """A case that runs in this interpreter."""
    return JobCase(name, variant, target, "3.11", None)


def ignore(_: object) -> None:
    """Nobody watches."""


def test_a_folder_is_read_with_the_truth_of_its_index(folder: Path) -> None:
    leaky, fixed, calm = read_folder(folder)
    assert (leaky.key, fixed.key, calm.key) == ("pair/leaky", "pair/fixed", "calm/clean")
    assert (leaky.leaks, fixed.leaks, calm.leaks) == (True, False, False)
    assert leaky.grows == ("heap", "rss")
    assert leaky.surest == "heap"
    assert fixed.grows == ()


def test_a_folder_without_an_index_is_read_by_its_jobs(folder: Path) -> None:
    (folder / "index.json").unlink()
    assert {case.name for case in read_folder(folder)} == {"pair", "calm"}


def test_an_empty_folder_is_refused_with_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"job\.py"):
        read_folder(tmp_path)


def test_the_same_requirements_share_an_environment_and_others_do_not() -> None:
    assert key_of("a==1\nb==2\n", "3.11") == key_of("b==2\n\na==1", "3.11")
    assert key_of("a==1", "3.11") != key_of("a==1", "3.10")
    assert key_of("a==1", "3.11") != key_of("a==2", "3.11")


def test_an_interpreter_is_found_under_pyenv_the_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patch in ("4.99.2", "4.99.10"):
        (tmp_path / "versions" / patch / "bin").mkdir(parents=True)
        (tmp_path / "versions" / patch / "bin" / "python").touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python("4.99").parts[-3] == "4.99.10"


def test_an_interpreter_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(BuildError, match=r"4\.98"):
        find_python("4.98")


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(folder: Path, requirements: str, python: Path) -> None:
        del requirements, python
        folder.mkdir()
        made.append(folder)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "_make", make)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    first = environments.environment("a==1", version)
    assert environments.environment("a==1", version) == first
    assert len(made) == 1


def test_a_half_made_environment_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, requirements: str, python: Path) -> None:
        del requirements, python
        folder.mkdir()
        raise BuildError("the network is down")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "_make", fail)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for _ in range(2):
        with pytest.raises(BuildError, match="network"):
            environments.environment("a==1", version)


def test_finished_runs_are_not_repeated(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(bench_module, "run", _record(calls))
    case = here(target=f"{folder / 'calm' / 'job.py'}:job")
    plan = [Planned(case, "rss", repeat, 0) for repeat in range(3)]
    bench = Bench(tmp_path / "out", jobs=1, timeout=10)
    bench.carry_out(plan[:2], ignore)
    # As after an interruption in the middle of a line.
    with bench.results.open("a", encoding="utf-8") as file:
        file.write('{"tool": "rss", "ca\n')
    runs = bench.carry_out(plan, ignore)
    assert [run.repeat for run in runs] == [0, 1, 2]
    assert len(calls) == 3
    assert len(read_runs(bench.results)) == 3


def _record(calls: list[list[str]]) -> Callable[..., process.Ended]:
    def run(command: list[str], *rest: object) -> process.Ended:
        del rest
        calls.append(command)
        return process.Ended(0, "grown 0\n", "", 0.1)

    return run


def test_each_run_has_a_temp_folder_of_its_own_that_is_gone_afterwards(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def run(command: object, environment: dict[str, str], *rest: object) -> process.Ended:
        del command, rest
        seen.append(Path(environment["TMPDIR"]))
        assert seen[-1].is_dir()
        return process.Ended(0, "", "", 0.1)

    monkeypatch.setattr(bench_module, "run", run)
    case = here(target=f"{folder / 'calm' / 'job.py'}:job")
    plan = [Planned(case, "rss", n, 0) for n in range(2)]
    Bench(tmp_path / "out", jobs=1, timeout=10).carry_out(plan, ignore)
    assert len(set(seen)) == 2
    assert not any(path.parent.exists() for path in seen)


def test_an_environment_that_cannot_be_built_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise BuildError("no matching distribution")

    monkeypatch.setattr(bench_module, "environment", fail)
    case = JobCase("pair", "leaky", "job.py:job", "3.11", "nothing==0")
    bench = Bench(tmp_path, jobs=1, timeout=10)
    (run,) = bench.carry_out([Planned(case, "rss", 0, 0)], ignore)
    assert run.outcome == "no verdict"
    assert "no matching distribution" in run.note


def test_a_command_beyond_its_deadline_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    ended = process.run([sys.executable, "-c", script], {}, timeout=1.5)
    assert ended.status is None
    assert "deadline" in ended.stopped
    child = int(note.read_text(encoding="utf-8"))
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(child)


def test_a_cancelled_command_is_ended() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert process.run(command, {}, timeout=60, cancelled=lambda: True).stopped == "cancelled"


def test_an_interrupted_bench_leaves_no_command_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings: list[process.Ended] = []

    def run(command: object, *rest: Any) -> process.Ended:
        del command
        if not endings:
            endings.append(process.Ended(0, "", "", 0.1))
            return endings[0]
        endings.append(process.run([sys.executable, "-c", "import time; time.sleep(600)"], *rest))
        return endings[-1]

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_module, "run", run)
    plan = [Planned(here(), "rss", n, 0) for n in range(4)]
    bench = Bench(tmp_path, jobs=1, timeout=60)
    with pytest.raises(KeyboardInterrupt):
        bench.carry_out(plan, interrupt)
    assert all(ended.status == 0 or ended.stopped == "cancelled" for ended in endings)
    assert len(endings) < len(plan)


def test_a_command_that_takes_too_much_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_MAX_TREE_BYTES", 50 << 20)
    script = "import time; x = b'x' * (100 << 20); time.sleep(600)"
    ended = process.run([sys.executable, "-c", script], {}, timeout=60)
    assert ended.status is None
    assert "MiB" in ended.stopped


def test_the_naive_gate_runs_for_real_and_tells_a_large_leak(folder: Path, tmp_path: Path) -> None:
    case = here("pair", "leaky", f"{folder / 'pair' / 'job.py'}:job")
    bench = Bench(tmp_path / "out", jobs=1, timeout=60)
    (run,) = bench.carry_out([Planned(case, "rss", 0, 0)], ignore)
    assert run.outcome == "growing"
    assert run.as_expected


def test_the_command_writes_table_results_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_module, "run", _record([]))
    out = tmp_path / "out"
    arguments = ["own", "--only", "one_big_step", "--repeat", "2", "--seed", "41", "-o", str(out)]
    assert main([*arguments, "--tools", "rss"]) == 0
    assert "seed 41" in capsys.readouterr().out
    data = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [run["seed"] for run in data["runs"]] == [41, 42]
    assert "one_big_step/clean" in (out / "results.md").read_text(encoding="utf-8")
    assert (out / "results.png").stat().st_size > 10_000


def test_a_gate_that_was_wrong_gives_status_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "run", _record([]))
    arguments = ["own", "--only", "list_of_bytes", "--repeat", "1", "-o", str(tmp_path)]
    assert main([*arguments, "--tools", "rss"]) == 1


def test_a_folder_that_is_not_there_gives_status_two(tmp_path: Path) -> None:
    assert main([str(tmp_path / "nowhere"), "-o", str(tmp_path)]) == 2


def test_own_cases_carry_their_seed_and_their_lines() -> None:
    cases = {case.name: case for case in own_cases(OWN_CASES, 17, "3.11")}
    case = cases["list_of_bytes"]
    assert case.environment["LEAKBENCH_SEED"] == "17"
    assert case.environment["LEAKBENCH_CASE"] == "leaks_containers:list_of_bytes"
    text = Path(case.file).read_text(encoding="utf-8").splitlines()
    assert all("# LEAK" in text[line - 1] for line in case.lines)

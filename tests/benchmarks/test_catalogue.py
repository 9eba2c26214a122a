"""The catalogues of web applications and workers: cases, proof, score and command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.catalogue import bench
from benchmarks.catalogue.case import KINDS, Case
from benchmarks.catalogue.command import CATALOGUES, main
from benchmarks.catalogue.result import TwinRun, judge_run, score
from benchmarks.catalogue.servers import NoRedisError, redis_server
from benchmarks.catalogue.start import surroundings
from benchmarks.catalogue.verify import Proof, prove
from leak_suite.metrics import METRICS

CASES = [case for cases in CATALOGUES.values() for case in cases]


def the_case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


# --- the table


def test_names_are_unique_and_both_catalogues_are_wide() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(CATALOGUES["web"]) >= 14
    assert len(CATALOGUES["workers"]) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_has_its_files_its_marked_lines_and_a_switch(case: Case) -> None:
    sources = "".join(path.read_text() for path in case.folder.glob("*.py"))
    assert '"LEAK" in os.environ' in sources
    assert case.lines()
    assert set(case.grows) <= set(KINDS)
    assert case.rate > 0
    for target in filter(None, [case.workload, *(w for w in case.subject if ".py:" in w)]):
        file, _, name = target.partition(":")
        assert name in (case.folder / file).read_text()


def test_every_metric_of_the_gate_that_can_show_a_leak_is_of_one_kind() -> None:
    known = frozenset().union(*KINDS.values())
    assert set(METRICS) - known <= {"peak", "garbage"}


def test_no_two_kinds_share_a_metric() -> None:
    assert sum(map(len, KINDS.values())) == len(frozenset().union(*KINDS.values()))


# --- the proof


@pytest.mark.parametrize("twin", ["leaky", "clean"])
def test_a_pool_that_keeps_its_results_is_proved_to_leak_and_its_twin_not(twin: str) -> None:
    proof = prove(replace(the_case("pool_fork"), calls=40), twin)
    assert proof.holds, proof


def test_a_leaky_twin_that_does_not_leak_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text("def job():\n    return bytes(1000)\n")
    case = Case("none", "", tmp_path, ("batch.py:job",), None, ("memory",), 10_000.0)
    assert not prove(case, "leaky").holds
    assert prove(case, "clean").holds


def test_a_clean_twin_that_leaks_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text("kept = []\ndef job():\n    kept.append(bytes(20000))\n")
    case = Case("none", "", tmp_path, ("batch.py:job",), None, ("memory",), 20_000.0)
    assert prove(case, "leaky").holds
    assert not prove(case, "clean").holds


def test_a_case_that_does_not_start_is_broken_and_says_why(tmp_path: Path) -> None:
    case = Case("none", "", tmp_path, ("batch.py:job",), None, ("memory",), 1.0)
    proof = prove(case, "clean")
    assert not proof.holds
    assert "No module named 'batch'" in proof.error


def test_a_slow_start_of_growth_is_still_growth() -> None:
    proof = Proof("one", "leaky", "memory", 100.0, 40.0, 70.0, 10)
    assert proof.holds
    assert not replace(proof, second=0.0, first=200.0).holds
    assert not replace(proof, first=20.0).holds


# --- what surrounds a run


def test_a_run_has_its_own_folder_and_only_the_leaky_twin_has_the_switch() -> None:
    case = the_case("pool_fork")
    with surroundings(case, "leaky") as (scratch, environment):
        assert environment["LEAK"] == "1"
        assert Path(environment["TMPDIR"]).parent == scratch
        assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert not scratch.exists()
    with surroundings(case, "clean") as (_, environment):
        assert "LEAK" not in environment


def test_a_redis_answers_while_it_is_needed_and_no_longer(tmp_path: Path) -> None:
    redis = pytest.importorskip("redis")
    if shutil.which("redis-server") is None and not os.environ.get("LEAK_SUITE_REQUIRE_REDIS"):
        pytest.skip("no redis-server on PATH")
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.set("key", "value")
    with redis.Redis.from_url(url) as client, pytest.raises(redis.exceptions.ConnectionError):
        client.ping()


def test_without_a_redis_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRedisError, match="redis-server"), redis_server(tmp_path):
        pass


# --- the score


def run_file(case: Case, outcome: str, *, line: int | None = None, metric: str = "heap") -> Any:
    sites = [] if line is None else [{"file": str(case.folder / "steps.py"), "line": line}]
    findings = [{"metric": metric, "outcome": outcome, "sites": sites}]
    return {"outcome": outcome, "reason": "", "findings": findings}


def judged(outcome: str, twin: str = "leaky", *, status: int, **more: Any) -> TwinRun:
    case = the_case("pool_fork")
    data = run_file(case, outcome, **more)
    return judge_run(case, twin, 0, status=status, data=data, seconds=1.0, cpu_seconds=2.0)


def test_the_marked_line_first_is_the_right_one_and_another_is_not() -> None:
    case = the_case("pool_fork")
    marked = min(number for _, number in case.lines())
    assert judged("growing", status=1, line=marked).line_named
    wrong = judged("growing", status=1, line=1)
    assert wrong.caught
    assert not wrong.line_named
    assert wrong.first_sites == ("steps.py:1",)


def test_a_line_is_named_if_any_growing_finding_has_it_first() -> None:
    case = the_case("pool_fork")
    marked = min(number for _, number in case.lines())
    data = run_file(case, "growing", line=1)
    data["findings"] += run_file(case, "growing", line=marked, metric="pss")["findings"]
    data["findings"] += run_file(case, "stable", line=marked, metric="fds")["findings"]
    run = judge_run(case, "leaky", 0, status=1, data=data, seconds=1.0, cpu_seconds=1.0)
    assert run.metrics == ("heap", "pss")
    assert run.line_named


def test_a_site_whose_path_is_relative_to_the_case_is_the_same_place() -> None:
    case = the_case("pool_fork")
    data = run_file(case, "growing", line=min(number for _, number in case.lines()))
    data["findings"][0]["sites"][0]["file"] = "steps.py"
    run = judge_run(case, "leaky", 0, status=1, data=data, seconds=1.0, cpu_seconds=1.0)
    assert run.line_named


def test_growth_of_another_kind_does_not_count_as_caught() -> None:
    assert judged("growing", status=1, metric="pss").caught
    assert not judged("growing", status=1, metric="fds").caught


def test_an_exit_status_that_contradicts_the_run_file_is_no_verdict() -> None:
    run = judged("growing", status=0)
    assert (run.outcome, run.caught) == ("no verdict", False)
    assert run.note == "growing, but status 0"


def test_a_run_without_a_run_file_is_no_verdict() -> None:
    case = the_case("pool_fork")
    run = judge_run(
        case, "clean", 0, status=2, data=None, seconds=1.0, cpu_seconds=1.0, note="crashed"
    )
    assert (run.outcome, run.as_expected, run.note) == ("no verdict", False, "crashed")


def test_the_score_counts_each_kind_of_answer() -> None:
    marked = min(number for _, number in the_case("pool_fork").lines())
    total = score(
        [
            judged("growing", status=1, line=marked),
            judged("growing", status=1, line=1),
            judged("stable", status=0),
            judged("inconclusive", status=2),
            judged("growing", "clean", status=1),
            judged("stable", "clean", status=0),
        ]
    )
    assert total.caught == (2, 4)
    assert total.false_greens == (1, 4)
    assert total.false_alarms == (1, 2)
    assert total.no_verdict == (1, 6)
    assert total.lines == (1, 2)
    assert {name: many for name, many, _ in total.rows()}["caught"] == "2/4"


def test_a_process_that_is_left_behind_makes_a_right_answer_wrong() -> None:
    run = judged("stable", "clean", status=0)
    assert run.as_expected
    assert not replace(run, left=("python server.py",)).as_expected
    assert score([replace(run, left=("python server.py",))]).left_behind == (1, 1)


# --- what a command used and left


def measured(tmp_path: Path, code: str) -> tuple[int, Any]:
    used = tmp_path / "used.json"
    script = Path(bench.__file__).with_name("measured.py")
    command = [sys.executable, str(script), str(used), sys.executable, "-c", code]
    status = subprocess.run(command, timeout=60).returncode
    return status, json.loads(used.read_text())


BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def test_the_cpu_of_a_grandchild_whose_parent_has_ended_counts(tmp_path: Path) -> None:
    inner = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}])"
    code = (
        f"import subprocess, sys; subprocess.call([sys.executable, '-c', {inner!r}]); sys.exit(3)"
    )
    status, used = measured(tmp_path, code)
    assert status == 3
    assert used["cpu_seconds"] >= 0.3
    assert used["left"] == []


def test_what_is_left_running_is_named_and_ended(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'],"
        " start_new_session=True)\n"
        "print(child.pid, flush=True)"
    )
    _, used = measured(tmp_path, code)
    assert len(used["left"]) == 1
    assert "time.sleep(300)" in used["left"][0]


# --- the command line


def test_a_case_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webb"]) == 2
    assert "no such case: webb" in capsys.readouterr().err


def test_the_list_shows_the_words_of_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "celery_prefork"]) == 0
    assert "push.py:push -- celery -A tasks worker" in capsys.readouterr().out


def test_the_results_of_a_run_are_written_and_decide_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter([judged("growing", status=1), judged("growing", "clean", status=1)])
    monkeypatch.setattr("benchmarks.catalogue.command.run_twin", lambda *_, **__: next(given))
    assert main(["pool_fork", "-o", str(tmp_path)]) == 1
    data = json.loads((tmp_path / "catalogue.json").read_text())
    assert data["workers"]["score"]["false_alarms"] == [1, 1]
    assert "| pool_fork | clean | growing ✗ |" in (tmp_path / "catalogue.md").read_text()


@pytest.mark.slow
def test_the_gate_itself_is_run_on_a_twin_and_its_answer_read(tmp_path: Path) -> None:
    case = the_case("fastapi_upload")
    run = bench.run_twin(case, "leaky", 0, timeout=200, options=["--no-attribution"], keep=tmp_path)
    assert (run.outcome, run.status, run.caught) == ("growing", 1, True)
    assert run.cpu_seconds > 0


def test_busy_processes_are_there_for_the_block_and_then_gone() -> None:
    import psutil

    def spinning() -> int:
        found = (p.cmdline() for p in psutil.Process().children())
        return sum(words[-1:] == [bench._SPIN] for words in found)

    with bench.busy_processes(2):
        assert spinning() == 2
    assert spinning() == 0

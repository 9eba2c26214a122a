"""Remedies are tried against none; one that is missing, or breaks the subject, is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.remedies.__main__ import PLANTED
from leak_suite.cli import main
from leak_suite.explain.observe import Observation, observe
from leak_suite.explain.remedies import REMEDIES, Preload, Remedy, setting_lines
from leak_suite.explain.result import GroupInfo, MemoryReading, RemedyTrial
from leak_suite.explain.trials import best_of, judge_trial, try_remedies
from leak_suite.render import render
from leak_suite.subject import CallableSpec, CommandSpec, Extras
from leak_suite.units import MIB
from tests.leak_suite.test_explain import EXPLAINED

ARENAS, THRESHOLDS = REMEDIES[:2]


def observation(*used: float, foreign: bool = False, error: str = "") -> Observation:
    """Of 100 iterations a second and of so many MiB, read at even intervals."""
    readings = tuple(
        MemoryReading(100 * n, float(n), {"native_used": value * MIB, "page_cache": 900.0 * MIB})
        for n, value in enumerate(used)
    )
    return Observation(readings, GroupInfo(), error=error, foreign_allocator=foreign)


ONCE = observation(10, 90, 90, 90, 90)
LEAK = observation(10, 30, 50, 70, 90)


def works(base: Observation, seen: Observation) -> bool:
    return judge_trial(ARENAS, seen, base).works


def test_a_remedy_works_if_it_saves_most_of_what_was_taken_once() -> None:
    assert works(ONCE, observation(10, 20, 20, 20, 20))
    assert works(ONCE, observation(10, 49, 49, 49, 49))
    assert not works(ONCE, observation(10, 51, 51, 51, 51))
    assert not works(ONCE, ONCE)


def test_a_leak_is_not_cured_by_going_slower() -> None:
    """Fewer iterations of the same growth each are no remedy, though they leave less."""
    slower = observation(10, 15, 20, 25, 30)
    slower = replace(
        slower,
        readings=tuple(replace(one, iterations=one.iterations // 4) for one in slower.readings),
    )
    assert not works(LEAK, slower)
    assert works(LEAK, observation(10, 12, 14, 16, 18))


def test_where_nothing_grows_nothing_can_work() -> None:
    calm = observation(10, 13, 13, 13, 13)
    assert not works(calm, observation(10, 10, 10, 10, 10))


def test_an_allocator_that_was_not_taken_up_failed() -> None:
    jemalloc = next(one for one in REMEDIES if one.name == "jemalloc")
    assert (
        judge_trial(jemalloc, observation(10, 20), ONCE).failed == "the subject did not take it up"
    )
    assert judge_trial(jemalloc, observation(10, 20, foreign=True), ONCE).failed == ""


def test_an_earlier_remedy_is_taken_if_it_does_about_as_much() -> None:
    none = RemedyTrial("none", level=100.0, per_second=10.0)

    def trial(name: str, level: float, pace: float = 10.0) -> RemedyTrial:
        return RemedyTrial(name, level=level, per_second=pace, works=True)

    assert best_of([none]) is None
    assert best_of([none, trial("a", 25.0), trial("b", 10.0)]) == trial("a", 25.0)
    assert best_of([none, trial("a", 40.0), trial("b", 10.0)]) == trial("b", 10.0)
    assert best_of([none, trial("a", 25.0, pace=5.0), trial("b", 30.0)]) == trial("b", 30.0)
    assert best_of([none, trial("a", 25.0, pace=5.0)]) == trial("a", 25.0, pace=5.0)


def test_what_is_not_installed_is_said_with_what_to_install(tmp_path: Path) -> None:
    nothing = Preload("libnothing.so.9", "libnothing9")
    assert nothing.find() is None
    remedy = Remedy("nothing", preload=nothing)
    assert remedy.unavailable("3.11.7", forks=True) == (
        "not installed here (Debian: apt-get install libnothing9)"
    )
    folder = tmp_path / "x86_64-linux-gnu"
    folder.mkdir()
    (folder / "libnothing.so.9").touch()
    assert nothing.find([str(tmp_path)]) == folder / "libnothing.so.9"


def test_what_a_version_of_python_lacks_is_not_tried() -> None:
    mimalloc = next(one for one in REMEDIES if one.name == "PYTHONMALLOC=mimalloc")
    assert "needs Python 3.13" in mimalloc.unavailable("3.12.1", forks=False)
    assert mimalloc.unavailable("3.13.0", forks=False) == ""
    freeze = next(one for one in REMEDIES if one.for_forks)
    assert freeze.unavailable("3.12.1", forks=False) == "the subject does not fork"


JOB = """
import os
def job():
    if os.environ.get("MALLOC_ARENA_MAX"):
        raise RuntimeError("fewer arenas are not for me")
if os.environ.get("MALLOC_TRIM_THRESHOLD_"):
    raise SystemExit("thresholds are not for me")
"""


def test_a_remedy_under_which_the_subject_fails_is_told_as_such_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "job.py").write_text(JOB)
    spec = CallableSpec(f"{tmp_path / 'job.py'}:job")
    base = observe(spec, 0.2, max_growth=1e9, extras=Extras(undisturbed=True))
    missing = Remedy("nothing", preload=Preload("libnothing.so.9", "libnothing9"))
    collections = REMEDIES[-1]
    found = try_remedies(
        spec,
        base,
        0.2,
        "3.11.7",
        max_growth=1e9,
        remedies=(ARENAS, missing, THRESHOLDS, collections),
    )
    none, arenas, nothing, thresholds, last = found
    assert none.name == "none"
    assert "RuntimeError: fewer arenas are not for me" in arenas.failed
    assert "not installed" in nothing.not_tried
    assert "thresholds are not for me" in thresholds.failed
    assert last.failed == last.not_tried == ""
    assert last.level is not None


def test_the_collector_is_set_as_the_remedy_wants(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import gc, os\n"
        "def thresholds():\n    assert gc.get_threshold()[:2] == (50000, 20)\n"
        "def forks():\n    pid = os.fork()\n"
        "    if not pid: os._exit(gc.get_freeze_count() > 1000)\n"
        "    assert os.waitpid(pid, 0)[1] == 256\n"
    )
    for name, remedy in (
        ("thresholds", REMEDIES[-1]),
        ("forks", next(one for one in REMEDIES if one.for_forks)),
    ):
        extras = Extras(undisturbed=True, environment=remedy.variables())
        with CallableSpec(f"{tmp_path / 'job.py'}:{name}").open(extras) as subject:
            assert subject.work(3, seconds=10.0).error is None
        with CallableSpec(f"{tmp_path / 'job.py'}:{name}").open(
            Extras(undisturbed=True)
        ) as subject:
            assert "AssertionError" in (subject.work(3, seconds=10.0).error or "")


@pytest.mark.parametrize("planted", [one for one in PLANTED if one.best], ids=lambda one: one.name)
def test_the_remedy_of_a_planted_program_works(planted: Any) -> None:
    if "--" in planted.words:
        at = planted.words.index("--")
        spec: Any = CommandSpec(planted.words[at + 1 :], planted.words[at - 1])
    else:
        spec = CallableSpec(planted.words[0])
    base = observe(spec, 1.0, max_growth=1e9, extras=Extras(undisturbed=True))
    remedies = [one for one in REMEDIES if one.name == planted.best]
    trials = try_remedies(spec, base, 1.0, "3.11", max_growth=1e9, remedies=remedies)
    best = best_of(trials)
    assert best is not None, trials
    assert best.name == planted.best


def lines(remedy: Remedy) -> Mapping[str, str]:
    return {where: "\n".join(text) for where, text in setting_lines(remedy)}


def test_a_setting_is_written_as_each_place_takes_it() -> None:
    found = lines(ARENAS)
    assert found["Dockerfile"] == "ENV MALLOC_ARENA_MAX=2"
    assert found["systemd unit, in [Service]"] == "Environment=MALLOC_ARENA_MAX=2"
    yaml = pytest.importorskip("yaml")
    render_yaml = yaml.safe_load(found["render.yaml, in the service"])
    assert render_yaml == {"envVars": [{"key": "MALLOC_ARENA_MAX", "value": "2"}]}
    kubernetes = yaml.safe_load(found["Kubernetes, in the container"])
    assert kubernetes == {"env": [{"name": "MALLOC_ARENA_MAX", "value": "2"}]}
    (code,) = lines(REMEDIES[-1]).values()
    compile(code, "remedy", "exec")


TRIED = replace(
    EXPLAINED,
    trials=(
        RemedyTrial("none", 80 * MIB, 0.0, 0.0, 120.0 * MIB, 126.0 * MIB, 100.0),
        RemedyTrial(
            "MALLOC_ARENA_MAX=2", 5 * MIB, 0.0, 0.0, 20.0 * MIB, 25.0 * MIB, 95.0, works=True
        ),
        RemedyTrial("jemalloc", not_tried="not installed here"),
        RemedyTrial("PYTHONMALLOC=malloc", failed="the subject ended"),
    ),
    best="MALLOC_ARENA_MAX=2",
)


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_trials_are_shown_with_the_one_that_works_and_its_lines(form: str) -> None:
    text = " ".join(render(TRIED, form).replace("\\", "").split())
    assert "MALLOC_ARENA_MAX=2 works: 20 MiB instead of 120 MiB in the end" in text
    assert "at 95% of the pace" in text
    assert "ENV MALLOC_ARENA_MAX=2" in text
    for said in ("120 MiB", "126 MiB", "25 MiB"):
        assert said in text


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_what_was_not_tried_or_failed_says_why(form: str) -> None:
    text = render(TRIED, form)
    assert "not installed here" in text
    assert "failed: the subject ended" in text


def test_trials_are_kept_in_the_run_file(tmp_path: Path) -> None:
    TRIED.write(tmp_path / "run.json")
    assert main(["show", str(tmp_path / "run.json"), "--format", "json"]) == 0


def test_a_running_process_cannot_be_started_anew(capsys: pytest.CaptureFixture[str]) -> None:
    import os

    assert main(["explain", "--try-remedies", "--pid", str(os.getpid())]) == 2
    assert "give the command after --" in capsys.readouterr().err

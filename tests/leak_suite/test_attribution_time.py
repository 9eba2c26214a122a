"""Attribution ends in time whatever the subject does, and is short where that is enough."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from leak_suite.attribution import attribute
from leak_suite.attribution.plan import deciding, first_length, lengths, too_much, well_explained
from leak_suite.attribution.together import at_once
from leak_suite.clauses import plain
from leak_suite.errors import LeakSuiteError, SubjectError
from leak_suite.options import Options
from leak_suite.result import Finding, Outcome
from leak_suite.subject import CallableSpec


def grows(metric: str, unit: str, rate: float) -> Finding:
    return Finding(metric, unit, Outcome.GROWING, rate=rate, clauses=plain("It grows."))


def test_a_first_run_is_as_long_as_growth_needs_to_stand_out() -> None:
    assert first_length(grows("blocks", "blocks", 1.0), 1e-6, 10**6) == 500
    assert first_length(grows("blocks", "blocks", 0.01), 1e-6, 10**6) == 50_000
    assert first_length(grows("heap", "bytes", 8.0), 1e-6, 10**6) == 8192
    assert first_length(grows("heap", "bytes", 1e6), 1e-6, 10**6) == 200
    assert first_length(grows("fds", "fds", 1.0), 0.01, 10**6) == 10
    assert first_length(grows("fds", "fds", 1.0), 0.01, 7) == 7


def test_runs_that_are_all_cut_short_by_time_still_differ() -> None:
    half, once, twice = lengths(1000, 1e-6, 2.0, shorter=True)
    assert [half.iterations, once.iterations, twice.iterations] == [500, 1000, 2000]
    assert [half.seconds, once.seconds, twice.seconds] == [0.5, 1.0, 2.0]
    assert [half.least, once.least, twice.least] == [2, 4, 8]


def test_a_slow_workload_is_repeated_once_and_twice() -> None:
    runs = lengths(20, 3.0, 2.0, shorter=True)
    assert [run.least for run in runs] == [1, 2]


def test_sites_explain_growth_that_they_come_near_to() -> None:
    finding = grows("blocks", "blocks", 10.0)
    assert well_explained(finding, 9.0)
    assert not well_explained(finding, 0.0)
    assert not well_explained(finding, 3.0)
    assert not well_explained(finding, 14.0)
    assert too_much(finding, 14.0)
    assert not too_much(finding, 4.0)


def test_live_memory_decides_before_resident_memory() -> None:
    rss, heap = grows("rss", "bytes", 9.0), grows("heap", "bytes", 8.0)
    assert deciding([rss, heap]) is heap
    assert deciding([rss]) is rss


def test_things_done_at_once_are_given_up_at_the_deadline() -> None:
    ended = threading.Event()

    def hangs() -> str:
        if ended.wait(30):
            raise SubjectError("killed")
        return "too late"

    def fails() -> str:
        raise ValueError("not today")

    begun = time.monotonic()
    quick, hung, failed = at_once(
        [lambda: "done", hangs, fails], until=begun + 0.2, give_up=ended.set
    )
    assert quick == "done"
    assert isinstance(hung, LeakSuiteError)
    assert "too long" in str(hung)
    assert ended.is_set()
    assert "not today" in str(failed)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("place", ["import", "job", "exit"])
def test_a_traced_subject_that_hangs_is_ended_and_the_verdict_kept(
    place: str, tmp_path: Path
) -> None:
    wait = "__import__('time').sleep(600)"
    path = tmp_path / "subject.py"
    path.write_text(
        f"import atexit\n{wait if place == 'import' else ''}\n"
        f"atexit.register(lambda: {wait if place == 'exit' else 'None'})\n"
        f"KEPT = []\ndef job():\n    KEPT.append(bytes(900))\n"
        f"    {wait if place == 'job' else 'pass'}\n"
    )
    begun = time.monotonic()
    (found,) = attribute(
        CallableSpec(f"{path}:job"),
        [grows("heap", "bytes", 900.0)],
        iterations=100,
        warm_up=1,
        options=Options(),
        seconds=4.0,
    )
    assert time.monotonic() - begun < 20
    assert found.outcome is Outcome.GROWING
    if place == "exit":
        assert found.sites[0].line == 6
    else:
        assert "did not succeed" in found.reason
    left = [child.cmdline() for child in psutil.Process().children()]
    assert not any(str(path) in " ".join(words) for words in left)

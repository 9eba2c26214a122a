"""How long windows are, and what a subject that hangs or dies while it is traced leaves."""

from __future__ import annotations

import importlib
from pathlib import Path

import psutil
import pytest

from leak_suite.attribution import attribute_afresh
from leak_suite.attribution.attribute import share_of_work
from leak_suite.attribution.plan import deciding, longest, too_much, well_explained, window
from leak_suite.clauses import plain
from leak_suite.options import Options
from leak_suite.result import Finding, Outcome
from leak_suite.subject import CallableSpec


def grows(metric: str, unit: str, rate: float) -> Finding:
    return Finding(metric, unit, Outcome.GROWING, rate=rate, clauses=plain("It grows."))


def test_a_first_window_is_as_long_as_growth_needs_to_stand_out() -> None:
    assert window([grows("blocks", "blocks", 1.0)], 1e-6, 9.0, None) == 200
    assert window([grows("blocks", "blocks", 0.01)], 1e-6, 9.0, None) == 20_000
    assert window([grows("heap", "bytes", 8.0)], 1e-6, 9.0, None) == 8192
    assert window([grows("heap", "bytes", 1e6)], 1e-6, 9.0, None) == 200
    assert window([grows("fds", "fds", 1.0)], 0.02, 9.0, None) == 4


def test_the_clearest_of_several_findings_decides_of_memory_and_the_longest_of_things() -> None:
    heap, blocks = grows("heap", "bytes", 8.0), grows("blocks", "blocks", 3.0)
    assert window([heap, blocks], 0.01, 90.0, None) == 66
    assert window([heap, blocks, grows("fds", "fds", 0.02)], 0.01, 90.0, None) == 200


def test_both_windows_stay_within_the_time_and_within_what_is_harmless() -> None:
    assert window([grows("heap", "bytes", 8.0)], 0.01, 3.0, None) == 100
    assert window([grows("fds", "fds", 1.0)], 0.01, 9.0, 9) == 3


def test_a_slow_workload_is_repeated_once_and_twice() -> None:
    leak = grows("heap", "bytes", 10 * 2**20)
    assert window([leak], 6.0, 2.0, longest([leak], 1e9)) == 1


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


def test_the_share_of_a_worker_is_what_the_others_left_of_the_work_while_it_was_traced() -> None:
    finding = grows("heap", "bytes", 100.0)
    assert share_of_work(0.5, finding, 7_500.0, 100) == pytest.approx(0.25)
    assert share_of_work(0.5, finding, -10.0, 100) == 1.0


@pytest.mark.parametrize("others", [None, 9_990.0, 20_000.0])
def test_a_share_that_cannot_be_told_stays_as_it_was_before(others: float | None) -> None:
    assert share_of_work(0.5, grows("heap", "bytes", 100.0), others, 100) == 0.5


@pytest.mark.parametrize("place", ["import", "job", "exit"])
def test_a_traced_subject_that_hangs_is_ended_and_the_verdict_kept(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leak_suite.subject.process._START_SECONDS", 4.0)
    module = importlib.import_module("leak_suite.attribution.attribute")
    monkeypatch.setattr(module, "ONE_ITERATION_SECONDS", 2.0)
    wait = "__import__('time').sleep(600)"
    path = tmp_path / "subject.py"
    path.write_text(
        f"import atexit\n{wait if place == 'import' else ''}\n"
        f"atexit.register(lambda: {wait if place == 'exit' else 'None'})\n"
        f"KEPT = []\ndef job():\n    KEPT.append(bytes(900))\n"
        f"    {wait if place == 'job' else 'pass'}\n"
    )
    (found,) = attribute_afresh(
        CallableSpec(f"{path}:job"),
        [grows("heap", "bytes", 900.0)],
        iterations=100,
        warm_up=0,
        options=Options(),
    )
    assert found.outcome is Outcome.GROWING
    if place == "exit":
        assert found.sites[0].line == 6
    else:
        assert "No line is named" in found.reason
        assert "did not answer" in found.reason
    left = [child.cmdline() for child in psutil.Process().children()]
    assert not any(str(path) in " ".join(words) for words in left)

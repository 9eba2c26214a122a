"""The arithmetic of the load invariants, on made-up runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leak_suite.result import Outcome
from load import invariants
from load.judgement import _judge_memory, judge_health
from load.ledger import Job, Ledger, Rest, status_of
from load.memory import idle_and_last, judge_memory
from load.observe import Observed, read
from load.plan import Plan

ROOT = Path(__file__).parents[2]
MIB = 1024.0**2


def ledger() -> Ledger:
    return Ledger(lambda _name, _complaint: None)


def moment(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000+00:00"


def job(number: int, created: int, started: int, finished: int, **view: Any) -> Job:
    times = {"created_at": created, "started_at": started, "finished_at": finished}
    words = {name: moment(second) for name, second in times.items()}
    return Job(str(number), frozenset({"completed"}), {"status": "completed", **words, **view})


def violated(book: Ledger) -> set[str]:
    return {check.name for check in book.checks(()) if check.state == "violated"}


@pytest.mark.parametrize(
    ("intervals", "most"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(0, 2), (1, 3)], 2),
        ([(0, 1), (1, 2)], 1),
        ([(0, 9), (1, 2), (3, 4), (3, 5)], 3),
    ],
)
def test_overlap_counts_what_runs_at_the_same_time(
    intervals: list[tuple[float, float]], most: int
) -> None:
    assert invariants.most_at_once(intervals) == most


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=12))
def test_overlap_is_the_largest_count_at_any_moment(spans: list[tuple[int, int]]) -> None:
    intervals = [(float(begin), float(begin + length)) for begin, length in spans]
    by_hand = max(
        (sum(begin <= at < end for begin, end in intervals) for at in range(60)), default=0
    )
    assert invariants.most_at_once(intervals) == by_hand


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert invariants.percentile([float(n) for n in range(100, 0, -1)], share) == value


def test_one_slow_answer_in_a_hundred_is_within_p99_and_two_are_not() -> None:
    assert invariants.percentile([1.0] * 99 + [500.0], 0.99) == 1.0
    assert invariants.percentile([1.0] * 98 + [500.0] * 2, 0.99) == 500.0


@pytest.mark.parametrize(
    ("views", "is_fine"),
    [
        ([("processing", None), ("pending", 1), ("pending", 2)], True),
        ([("pending", 2), ("pending", 1)], True),
        ([], True),
        ([("pending", 1), ("pending", 1)], False),
        ([("pending", 1), ("pending", 3)], False),
        ([("pending", 0)], False),
        ([("pending", None), ("pending", 1)], True),
        ([("pending", None), ("pending", None), ("pending", 1)], False),
        ([("processing", 1)], False),
    ],
)
def test_positions_make_one_row_without_gaps(
    views: list[tuple[str, int | None]], is_fine: bool
) -> None:
    answer = [{"status": status, "queue_position": place} for status, place in views]
    assert (invariants.queue_complaint(answer, slots=1) == "") is is_fine


def test_a_third_job_at_once_is_seen_from_the_times_alone() -> None:
    book = ledger()
    for number in range(3):
        book.take(job(number, 0, 1 + number, 10))
    invariants.afterwards(book, Plan(slots=2), None)
    assert violated(book) == {invariants.SLOTS}


def test_jobs_that_follow_one_another_in_the_same_millisecond_do_not_overlap() -> None:
    book = ledger()
    for number in range(4):
        book.take(job(number, 0, number, number + 1))
    invariants.afterwards(book, Plan(slots=1), None)
    assert violated(book) == set()


def test_an_eleventh_waiting_job_is_seen_and_the_tenth_is_not() -> None:
    for waiting, expected in ((10, set()), (11, {invariants.PLACES})):
        book = ledger()
        for number in range(waiting):
            book.take(job(number, 0, 20 + number, 21 + number))
        invariants.afterwards(book, Plan(slots=1, pending=10), None)
        assert violated(book) == expected


def test_the_service_s_own_peaks_count_too() -> None:
    book = ledger()
    invariants.afterwards(book, Plan(), {"peaks": {"processing": 3, "pending": 11}})
    assert violated(book) == {invariants.SLOTS, invariants.PLACES}


def test_a_service_that_declares_other_limits_is_told_so() -> None:
    book = ledger()
    invariants.afterwards(book, Plan(), {"limits": {"max_processing": 3}})
    assert violated(book) == {invariants.DECLARED}


def test_a_job_that_never_ends_is_lost_and_one_that_ends_wrong_is_not() -> None:
    book = ledger()
    book.take(Job("a", frozenset({"completed"}), {"status": "pending"}))
    book.take(job(1, 0, 1, 2, status="failed"))
    invariants.afterwards(book, Plan(), None)
    assert violated(book) == {invariants.LOST, invariants.ENDS}


def test_a_position_that_goes_up_is_a_violation() -> None:
    book = ledger()
    one = book.take(job(1, 0, 1, 2))
    one.positions = [3, 2, 4]
    invariants.afterwards(book, Plan(), None)
    assert violated(book) == {invariants.ORDER}


def test_the_status_is_1_for_a_violation_2_for_nothing_tried_and_0_only_for_a_pass() -> None:
    book = ledger()
    assert status_of(book.checks(()), []) == 2
    book.saw("a", True)
    assert status_of(book.checks(("a",)), []) == 0
    assert status_of(book.checks(("a", "b")), []) == 2
    assert status_of(book.checks(("a",)), ["a task raised"]) == 2
    book.saw("a", False, "no")
    assert status_of(book.checks(("a", "b")), ["a task raised"]) == 1


def test_what_cannot_be_judged_here_is_no_failure_and_is_said() -> None:
    book = ledger()
    book.saw("a", True)
    book.leave_out("b", "seen from outside only")
    checks = {check.name: check for check in book.checks(("a", "b"))}
    assert (checks["b"].state, checks["b"].details) == ("not judged", ("seen from outside only",))
    assert status_of(tuple(checks.values()), []) == 0


def observed(values: list[float], metric: str = "rss_anon") -> tuple[Observed, list[Rest]]:
    memory = [(float(n), {metric: value}) for n, value in enumerate(values)]
    rests = [Rest(n - 0.1, n + 0.1, 12 * n) for n in range(len(values))]
    return Observed(memory=memory), rests


def test_memory_that_grows_with_every_wave_is_growing() -> None:
    watch, rests = observed([(100 + 12 * n) * MIB for n in range(10)])
    assert judge_memory(watch, rests, Plan(scenario="x"), 60.0, {}).outcome.value == "growing"


def test_memory_that_stays_is_stable_and_few_rests_say_nothing() -> None:
    level = [100.0, 104, 104.5, 104, 104.2, 104.1, 104.3, 104, 104.2, 104.1]
    watch, rests = observed([value * MIB for value in level])
    assert judge_memory(watch, rests, Plan(scenario="x"), 60.0, {}).outcome.value == "stable"
    assert idle_and_last(watch, rests) == (100 * MIB, 104.1 * MIB)
    watch, rests = observed([100 * MIB] * 3)
    result = judge_memory(watch, rests, Plan(scenario="x"), 9.0, {})
    assert (result.outcome.value, "too few" in result.reason) == ("inconclusive", True)


@pytest.mark.parametrize(("scenario", "broken"), [("soak", 1), ("rejection", 0)])
def test_memory_too_noisy_to_judge_breaks_a_soak_and_is_left_out_elsewhere(
    scenario: str, broken: int
) -> None:
    session = SimpleNamespace(plan=Plan(scenario=scenario), ledger=ledger())
    session.ledger.rests = [Rest(n, n + 1, n) for n in range(20)]
    unclear: Any = SimpleNamespace(outcome=Outcome.INCONCLUSIVE, reason="it drowns")
    _judge_memory(cast(Any, session), unclear)
    assert len(session.ledger.broken) == broken
    assert invariants.MEMORY in session.ledger.unjudged


def test_the_watch_s_file_is_read_back_and_a_cut_line_left_out(tmp_path: Path) -> None:
    lines = [
        {"health_ms": 2.0, "late_ms": 0.1},
        {"error": "/health answered 500"},
        {"at": 1.0, "memory": {"rss_anon": 5.0}},
    ]
    file = tmp_path / "observed.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + '\n{"health_m')
    found = read(file)
    assert (found.health_ms, found.health_errors) == ([2.0], ["/health answered 500"])
    assert found.memory == [(1.0, {"rss_anon": 5.0})]


def test_only_looks_around_which_the_watch_was_in_time_are_undisturbed() -> None:
    watch = Observed(health_ms=[1, 2, 3, 4], late_ms=[0, 50, 0, 0])
    assert watch.undisturbed(10) == [3]


def test_a_plan_travels_through_the_environment() -> None:
    plan = Plan(scenario="burst", slots=3, seconds=4.5, spool="somewhere", pid=7)
    assert Plan.from_environment(plan.to_environment()) == plan
    with pytest.raises(ValueError, match="LOAD_SLOTS"):
        Plan.from_environment({"LOAD_SLOTS": "many"})


def test_the_command_does_not_import_locust() -> None:
    for name in (
        "run",
        "service",
        "plan",
        "observe",
        "judgement",
        "memory",
        "invariants",
        "ledger",
        "table",
    ):
        tree = ast.parse((ROOT / "load" / f"{name}.py").read_text())
        imported = {
            name
            for node in tree.body
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not any(one.split(".")[0] in {"locust", "gevent"} for one in imported), name


def health(
    tmp_path: Path, milliseconds: list[float], *, crowd: float = 0.0, late: float = 0.0
) -> tuple[str, list[str]]:
    """The state of the /health invariant after these looks, and what broke."""
    session: Any = SimpleNamespace(ledger=ledger(), plan=Plan(out=str(tmp_path)))
    watch = Observed(health_ms=milliseconds, late_ms=[late] * len(milliseconds), crowd=[crowd] * 9)
    judge_health(session, watch)
    states = {check.name: check.state for check in session.ledger.checks(())}
    return states[invariants.HEALTH], session.ledger.broken


def test_health_is_judged_by_p99_and_a_crowded_machine_is_no_accusation(tmp_path: Path) -> None:
    fine, spikes, slow = [2.0] * 100, [2.0] * 90 + [150.0] * 10, [150.0] * 100
    assert health(tmp_path, fine) == ("passed", [])
    assert health(tmp_path, spikes) == ("violated", [])
    assert health(tmp_path, spikes, crowd=5.0)[0] == "not judged"
    assert health(tmp_path, spikes, late=60.0)[1] != []
    assert health(tmp_path, slow, crowd=5.0) == ("violated", [])
    assert health(tmp_path, slow, crowd=5.0, late=60.0)[0] == "violated"

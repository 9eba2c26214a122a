"""The arithmetic of the load invariants, on made-up runs."""

from __future__ import annotations

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
from load.memory import first_and_last_idle, judge_memory
from load.observer import Observations, _local_memory, read, spool_files
from load.plan import LoadPlan
from load.run_log import IdleWindow, RunLog, UploadedJob, status_of
from load.scenarios.slow_clients import RATE, judge_rates

ROOT = Path(__file__).parents[2]
MIB = 1024.0**2


def new_log() -> RunLog:
    return RunLog(lambda _name, _error: None)


def moment(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000+00:00"


def job(number: int, created: int, started: int, finished: int, **view: Any) -> UploadedJob:
    times = {"created_at": created, "started_at": started, "finished_at": finished}
    words = {name: moment(second) for name, second in times.items()}
    return UploadedJob(
        str(number), frozenset({"completed"}), {"status": "completed", **words, **view}
    )


def violated(log: RunLog) -> set[str]:
    return {check.name for check in log.checks(()) if check.state == "violated"}


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
    assert invariants.max_overlap(intervals) == most


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=12))
def test_overlap_is_the_largest_count_at_any_moment(spans: list[tuple[int, int]]) -> None:
    intervals = [(float(begin), float(begin + length)) for begin, length in spans]
    by_hand = max(
        (sum(begin <= at < end for begin, end in intervals) for at in range(60)), default=0
    )
    assert invariants.max_overlap(intervals) == by_hand


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
    assert (invariants.queue_error(answer, slots=1) == "") is is_fine


def test_a_third_job_at_once_is_found_from_the_timestamps_alone() -> None:
    log = new_log()
    for number in range(3):
        log.add(job(number, 0, 1 + number, 10))
    invariants.judge_afterwards(log, LoadPlan(slots=2), None)
    assert violated(log) == {invariants.SLOTS}


def test_jobs_that_follow_one_another_in_the_same_millisecond_do_not_overlap() -> None:
    log = new_log()
    for number in range(4):
        log.add(job(number, 0, number, number + 1))
    invariants.judge_afterwards(log, LoadPlan(slots=1), None)
    assert violated(log) == set()


def test_an_eleventh_waiting_job_is_a_violation_and_the_tenth_is_not() -> None:
    for waiting, expected in ((10, set()), (11, {invariants.PLACES})):
        log = new_log()
        for number in range(waiting):
            log.add(job(number, 0, 20 + number, 21 + number))
        invariants.judge_afterwards(log, LoadPlan(slots=1, pending=10), None)
        assert violated(log) == expected


def test_the_service_s_own_peaks_count_too() -> None:
    log = new_log()
    invariants.judge_afterwards(log, LoadPlan(), {"peaks": {"processing": 3, "pending": 11}})
    assert violated(log) == {invariants.SLOTS, invariants.PLACES}


def test_a_service_that_declares_other_limits_breaks_an_invariant() -> None:
    log = new_log()
    invariants.judge_afterwards(log, LoadPlan(), {"limits": {"max_processing": 3}})
    assert violated(log) == {invariants.DECLARED}


def test_a_job_that_never_ends_is_lost_and_one_that_ends_wrong_is_not() -> None:
    log = new_log()
    log.add(UploadedJob("a", frozenset({"completed"}), {"status": "pending"}))
    log.add(job(1, 0, 1, 2, status="failed"))
    invariants.judge_afterwards(log, LoadPlan(), None)
    assert violated(log) == {invariants.LOST, invariants.ENDS}


@pytest.mark.parametrize(
    ("statuses", "seen", "error"),
    [
        ("processing completed", "completed", ""),
        ("processing completed cancelled", "completed", ""),
        ("processing completed cancelled", "cancelled", ""),
        ("processing pending processing failed", "failed", ""),
        ("cancelled", "cancelled", ""),
        ("", "pending", "never ended: no change"),
        ("processing pending", "processing", "never ended: processing → pending"),
        ("processing completed completed", "completed", "went on after its end"),
        ("processing completed pending processing cancelled", "completed", "went on after its end"),
        ("processing failed cancelled", "failed", "went on after its end"),
        ("processing failed", "completed", "is completed for its client"),
    ],
)
def test_a_job_ends_once_and_as_its_client_was_told(statuses: str, seen: str, error: str) -> None:
    found = invariants.ends_error(statuses.split(), seen)
    assert (found.startswith(error), bool(found)) == (True, bool(error))


def test_the_logs_of_several_processes_are_judged_as_one() -> None:
    merged = new_log()
    for number in range(3):
        log = new_log()
        log.uploads = 2
        log.add(job(number, 0, 1 + number, 10))
        log.record("a", number != 1, f"not in {number}")
        log.skip("b", "nobody can tell")
        log.mark_reached("c")
        log.broken.append(f"{number} broke")
        merged.merge(json.loads(json.dumps(log.to_json())))
    assert (merged.uploads, len(merged.jobs), merged.broken[2]) == (6, 3, "2 broke")
    checks = {check.name: (check.state, check.seen) for check in merged.checks(())}
    assert checks == {"a": ("violated", 3), "b": ("not judged", 0), "c": ("passed", 1)}
    invariants.judge_afterwards(merged, LoadPlan(slots=2), None)
    assert invariants.SLOTS in violated(merged)


def test_a_position_that_goes_up_is_a_violation() -> None:
    log = new_log()
    one = log.add(job(1, 0, 1, 2))
    one.positions = [3, 2, 4]
    invariants.judge_afterwards(log, LoadPlan(), None)
    assert violated(log) == {invariants.ORDER}


def test_the_status_is_1_for_a_violation_2_for_nothing_tried_and_0_only_for_a_pass() -> None:
    log = new_log()
    assert status_of(log.checks(()), []) == 2
    log.record("a", True)
    assert status_of(log.checks(("a",)), []) == 0
    assert status_of(log.checks(("a", "b")), []) == 2
    assert status_of(log.checks(("a",)), ["a task raised"]) == 2
    log.record("a", False, "no")
    assert status_of(log.checks(("a", "b")), ["a task raised"]) == 1


def test_what_cannot_be_judged_here_is_listed_and_no_failure() -> None:
    log = new_log()
    log.record("a", True)
    log.skip("b", "seen from outside only")
    checks = {check.name: check for check in log.checks(("a", "b"))}
    assert (checks["b"].state, checks["b"].details) == ("not judged", ("seen from outside only",))
    assert status_of(tuple(checks.values()), []) == 0


def observed(
    values: list[float], metric: str = "rss_anon"
) -> tuple[Observations, list[IdleWindow]]:
    memory = [(float(n), {metric: value}) for n, value in enumerate(values)]
    windows = [IdleWindow(n - 0.1, n + 0.1, 12 * n) for n in range(len(values))]
    return Observations(memory=memory), windows


def test_memory_that_grows_with_every_wave_is_growing() -> None:
    observations, windows = observed([(100 + 12 * n) * MIB for n in range(10)])
    assert (
        judge_memory(observations, windows, LoadPlan(scenario="x"), 60.0, {}).outcome.value
        == "growing"
    )


def test_memory_that_stays_is_stable_and_few_idle_windows_say_nothing() -> None:
    level = [100.0, 104, 104.5, 104, 104.2, 104.1, 104.3, 104, 104.2, 104.1]
    observations, windows = observed([value * MIB for value in level])
    assert (
        judge_memory(observations, windows, LoadPlan(scenario="x"), 60.0, {}).outcome.value
        == "stable"
    )
    assert first_and_last_idle(observations, windows) == (100 * MIB, 104.1 * MIB)
    observations, windows = observed([100 * MIB] * 3)
    result = judge_memory(observations, windows, LoadPlan(scenario="x"), 9.0, {})
    assert (result.outcome.value, "too few" in result.reason) == ("inconclusive", True)


@pytest.mark.parametrize(("scenario", "broken"), [("soak", 1), ("rejection", 0)])
def test_memory_too_noisy_to_judge_breaks_a_soak_and_is_skipped_elsewhere(
    scenario: str, broken: int
) -> None:
    session = SimpleNamespace(plan=LoadPlan(scenario=scenario), log=new_log())
    session.log.idle_windows = [IdleWindow(n, n + 1, n) for n in range(20)]
    unclear: Any = SimpleNamespace(outcome=Outcome.INCONCLUSIVE, reason="it drowns")
    _judge_memory(cast(Any, session), unclear)
    assert len(session.log.broken) == broken
    assert invariants.MEMORY in session.log.skipped


def test_the_observer_s_file_is_read_back_without_a_cut_last_line(tmp_path: Path) -> None:
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


def test_only_requests_around_which_the_observer_woke_in_time_are_undisturbed() -> None:
    observations = Observations(health_ms=[1, 2, 3, 4], late_ms=[0, 50, 0, 0])
    assert observations.undisturbed(10) == [3]


def test_the_memory_of_several_processes_is_summed_and_what_one_does_not_tell_is_left_out() -> None:
    trees: Any = {
        number: SimpleNamespace(read=lambda values=values: values)
        for number, values in enumerate(({"pss": 1.0, "rss": 5.0}, {"pss": 2.0, "rss": None}))
    }
    assert _local_memory(trees, None) == {"pss": 3.0}


def test_a_deprecated_variable_is_read_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="use LOAD_STALL_SECONDS"):
        assert LoadPlan.from_environment({"LOAD_PATIENCE_SECONDS": "7"}).stall_seconds == 7


def test_a_plan_travels_through_the_environment() -> None:
    plan = LoadPlan(scenario="burst", slots=3, seconds=4.5, spool="somewhere", pids="7,8")
    assert LoadPlan.from_environment(plan.to_environment()) == plan
    with pytest.raises(ValueError, match="LOAD_SLOTS"):
        LoadPlan.from_environment({"LOAD_SLOTS": "many"})


def health(
    tmp_path: Path, milliseconds: list[float], *, run_queue_per_cpu: float = 0.0, late: float = 0.0
) -> tuple[str, list[str]]:
    """The state of the /health invariant after these requests, and what broke."""
    session: Any = SimpleNamespace(log=new_log(), plan=LoadPlan(out=str(tmp_path)))
    observations = Observations(
        health_ms=milliseconds,
        late_ms=[late] * len(milliseconds),
        run_queue_per_cpu=[run_queue_per_cpu] * 9,
    )
    judge_health(session, observations)
    states = {check.name: check.state for check in session.log.checks(())}
    return states[invariants.HEALTH], session.log.broken


def test_health_is_judged_by_p99_but_not_on_an_overloaded_machine(tmp_path: Path) -> None:
    fine, spikes, slow = [2.0] * 100, [2.0] * 90 + [150.0] * 10, [150.0] * 100
    assert health(tmp_path, fine) == ("passed", [])
    assert health(tmp_path, spikes) == ("violated", [])
    assert health(tmp_path, spikes, run_queue_per_cpu=5.0)[0] == "not judged"
    assert health(tmp_path, spikes, late=60.0)[1] != []
    assert health(tmp_path, slow, run_queue_per_cpu=5.0) == ("violated", [])
    assert health(tmp_path, slow, run_queue_per_cpu=5.0, late=60.0)[0] == "violated"


@pytest.mark.parametrize(
    ("rates", "state"),
    [
        ([2.2, 3.6, 3.4, 3.5, 3.8, 3.7, 3.5, 3.6, 3.9], "passed"),
        ([2.2, 3.6, 2.7, 2.8, 3.8, 3.7, 2.6, 2.9, 3.9], "violated"),
        ([3.6, 2.2, 3.4, 3.5, 3.8, 3.7, 3.5, 3.6, 3.9], "not judged"),
        ([3.6, 3.7, 3.4], "passed"),
        ([2.2, 3.6], ""),
    ],
)
def test_the_first_round_is_no_part_of_the_usual_rate(rates: list[float], state: str) -> None:
    log = new_log()
    judge_rates(log, rates)
    assert {check.name: check.state for check in log.checks(())} == ({RATE: state} if state else {})
    assert bool(log.broken) == (state == "not judged")


def test_what_a_job_left_in_the_spool_is_found_and_the_record_of_jobs_is_none_of_it(
    tmp_path: Path,
) -> None:
    instance = tmp_path / "instance-0"
    (instance / "objects").mkdir(parents=True)
    for name in ("jobs.sqlite3", "jobs.sqlite3-wal", "objects/clip.mp4"):
        (instance / name).write_bytes(b"x")
    (instance / "objects" / "empty.csv").touch()
    assert spool_files(tmp_path) == ["instance-0/objects/clip.mp4"]

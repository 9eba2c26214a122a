"""Every call of a job that can fail is made to fail, in three ways: nothing is ever left behind.

Replay one: `pytest tests/fault_injection -k failing_calls --fault-call 17 --fault-kind enospc`.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import psutil
import pytest

from leak_suite.result import Outcome, Series
from leak_suite.verdict import Tolerance, judge
from reference_app.memory.allocator import release_memory
from tests.fault_injection.conftest import Plan
from tests.fault_injection.harness import Harness, harness, tiny
from tests.fault_injection.injection import KINDS, chosen_turns
from tests.reference_app.conftest import until

SAMPLE = 12
ROUNDS = 20
#: Much less than a picture of the clip (115,200 bytes), a table's buffer or an exception's frames.
BYTES_A_JOB = 4096
BLOCKS_A_JOB = 24


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("injected")
    with harness(folder, frame_source="batch", detection_mode="smart") as made:
        assert made.job(tiny())["status"] == "completed"
        yield made


@pytest.fixture(scope="module")
def calls(faulty: Harness) -> list[str]:
    """The names of all calls that one job makes, in their order."""
    faulty.job(tiny())
    return list(faulty.faults.calls)


@pytest.fixture
def unlogged() -> Iterator[None]:
    """No records of logs: pytest keeps them all until a test ends, with their exceptions."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def problem(faulty: Harness, k: int, kind: str, rest: dict[str, Any]) -> str | None:
    """Let one call fail; what is wrong afterwards, with how to see it again."""
    job = faulty.job(tiny(), k, kind)
    name = faulty.faults.failed_call
    wrong = judged(job, kind)
    if job["status"] != "completed" and (files := faulty.service.files()):
        wrong.append(f"files of a job that has none: {files}")
    faulty.forget_all()
    try:
        until(lambda: faulty.footprint() == rest, 5)
    except AssertionError:
        now = faulty.footprint()
        wrong += [f"{key}: {rest[key]} -> {now[key]}" for key in rest if rest[key] != now[key]]
    after = faulty.job(tiny())
    if after["status"] != "completed":
        wrong.append(f"the next job: {after}")
    faulty.forget_all()
    replay = f"--fault-call {k} --fault-kind {kind}"
    return f"{name} ({replay}): {'; '.join(wrong)}" if wrong else None


def judged(job: dict[str, Any], kind: str) -> list[str]:
    """What is wrong with how a job ended."""
    status = job["status"]
    if status == "failed" and not job["error"]:
        return ["failed without a reason"]
    if status == "lost":
        return ["accepted, and then not known"]
    if status == "refused" and kind != "cancel" and "detail" not in job["body"]:
        return [f"refused without a reason: {job}"]
    if kind == "enospc" and status == "refused" and job["code"] not in (507, 500, 503):
        return [f"a full disk was answered with {job['code']}"]
    return []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(1500)
def test_any_call_may_fail_and_nothing_is_left(
    faulty: Harness,
    calls: list[str],
    plan: Plan,
    kind: str,
    record_property: Callable[[str, object], None],
) -> None:
    if plan.kind not in (None, kind):
        pytest.skip("another kind was asked for")
    turns = chosen_turns(calls)
    if not plan.full:
        turns = sorted(plan.random(kind).sample(turns, SAMPLE))
    if plan.k is not None:
        turns = [plan.k]
    faulty.forget_all()
    rest = faulty.footprint()
    record_property("calls made to fail", len(turns))
    problems = [c for k in turns if (c := problem(faulty, k, kind, rest))]
    assert not problems, f"of {len(calls)} calls, {len(turns)} tried:\n" + "\n".join(problems)


def test_the_seams_see_every_part_of_a_job(calls: list[str]) -> None:
    seen = {name.partition(".")[0] for name in calls}
    assert seen >= {"store", "objects", "queue", "workers", "guard", "broadcaster"}
    assert seen >= {
        "open_reader",
        "make_detector",
        "open_landmarks_csv",
        "open_writer",
        "open_folder",
    }
    assert seen >= {"probe", "to_rgb", "plan", "draw", "write_thumbnail", "cut_preview", "system"}
    assert calls.count("open_reader.next") == 10
    assert calls.count("open_writer.write") == 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(1500)
def test_jobs_that_fail_twenty_times_over_keep_no_memory(
    faulty: Harness, calls: list[str], plan: Plan, kind: str, unlogged: None
) -> None:
    turns = plan.random(f"memory/{kind}").sample(chosen_turns(calls), plan.repeats(3, 12))
    heap, blocks = [], []
    for _ in range(ROUNDS + 4):
        for k in turns:
            faulty.job(tiny(), k, kind)
        faulty.forget_all()
        faulty.faults.calls.clear()
        release_memory()
        gc.collect()
        used = psutil.heap_info()
        heap.append(used.heap_used + used.mmap_used)
        blocks.append(sys.getallocatedblocks())
    replay = f"--fault-seed {plan.seed}, calls {turns}, {kind}"
    for unit, values, limit in (("bytes", heap, BYTES_A_JOB), ("blocks", blocks, BLOCKS_A_JOB)):
        assert growth(values[4:]) / len(turns) < limit, f"{replay}: {unit} {values}"
        metric = {"bytes": "heap"}.get(unit, unit)
        samples = tuple((n * len(turns), float(v)) for n, v in enumerate(values))
        finding = judge(
            Series(metric, unit, samples, warm_up=4),
            Tolerance(exact=False, unit=unit, min_rate=limit),
            final=True,
        )
        assert finding is not None
        assert finding.outcome is not Outcome.GROWING, f"{replay}: {finding.reason}"


def growth(values: list[int]) -> float:
    """A round's growth; the one largest rise is left out, since what is kept once is no leak."""
    steps = [after - before for before, after in pairwise(values)]
    return (sum(steps) - max(steps)) / len(steps)

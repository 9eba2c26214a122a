"""How the findings of a run are held against one another."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import leak_suite.verdict
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict import Tolerance, Verdict, judge_all, overall_outcome

MIB = 2.0**20
TOLERANCES = {
    "heap": Tolerance(
        exact=False, unit="bytes", min_rate=1.0, covering_metrics=("rss_anon", "rss")
    ),
    "blocks": Tolerance(
        exact=False, unit="blocks", min_rate=0.02, covering_metrics=("heap", "rss")
    ),
    "gc_objects": Tolerance(
        exact=False, unit="objects", min_rate=0.02, required=False, covering_metrics=("blocks",)
    ),
    "rss": Tolerance(exact=False, unit="bytes", min_rate=64.0, covering_metrics=("rss_anon",)),
    "rss_anon": Tolerance(
        exact=False, unit="bytes", min_rate=64.0, required=False, covering_metrics=("rss",)
    ),
    "pss": Tolerance(
        exact=False, unit="bytes", min_rate=64.0, required=False, covering_metrics=("rss",)
    ),
    "fds": Tolerance(exact=True, unit="descriptors"),
    "threads": Tolerance(exact=True, unit="threads"),
    "tasks": Tolerance(exact=True, unit="tasks", required=False, covering_metrics=("gc_objects",)),
    "temp_files": Tolerance(exact=True, unit="files", required=False),
}
LEVELS = {"heap": 5e6, "blocks": 4e4, "gc_objects": 1.3e4, "rss": 3e7, "fds": 4.0, "threads": 1.0}

Value = Callable[[int], float | None]


def flat(metric: str) -> Value:
    return lambda _: LEVELS.get(metric, 0.0)


def series(metric: str, value: Value, rounds: int, each: int) -> Series:
    samples = tuple((each * k, value(each * k)) for k in range(rounds + 1))
    unit = TOLERANCES[metric].unit if metric in TOLERANCES else "bytes"
    return Series(metric, unit, samples)


def judged(
    rounds: int,
    values: Mapping[str, Value] | None = None,
    *,
    each: int = 2000,
    final: bool = False,
    budgets: Mapping[str, float] | None = None,
) -> Verdict:
    """A run with all the usual metrics flat but for those given, in rounds of 60 ms."""
    all_values = {**{metric: flat(metric) for metric in LEVELS}, **(values or {})}
    made = [series(metric, value, rounds, each) for metric, value in all_values.items()]
    seconds = 0.06 * rounds
    return judge_all(made, TOLERANCES, final=final, seconds=seconds, budgets=budgets or {})


def run(*, each: int = 2000, **values: Value) -> tuple[Verdict, int]:
    """Go on until the verdict is in; also how many rounds that took."""
    for rounds in range(1, 500):
        verdict = judged(rounds, values, each=each)
        if verdict.done:
            return verdict, rounds
    return judged(500, values, each=each, final=True), 500


def finding(verdict: Verdict, metric: str) -> Finding:
    return next(f for f in verdict.findings if f.metric == metric)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {f.metric: f.outcome for f in verdict.findings}


def test_a_run_in_which_all_is_flat_is_stable() -> None:
    verdict, rounds = run()
    assert verdict.outcome is Outcome.STABLE
    assert set(outcomes(verdict).values()) == {Outcome.STABLE}
    assert rounds <= 12


def test_one_growing_metric_makes_the_run_growing_and_the_others_are_still_judged() -> None:
    verdict, _ = run(fds=lambda n: 4.0 + n / 2000)
    assert verdict.outcome is Outcome.GROWING
    assert outcomes(verdict)["fds"] is Outcome.GROWING
    assert outcomes(verdict)["heap"] is Outcome.STABLE


def test_all_the_metrics_that_a_leak_shows_in_are_named() -> None:
    verdict, _ = run(
        each=20,
        heap=lambda n: 5e6 + 42_000.0 * n,
        blocks=lambda n: 4e4 + 288.0 * n,
        gc_objects=lambda n: 1.3e4 + 161.0 * n,
        rss=lambda n: 3e7 + 65_000.0 * n,
    )
    growing = {m for m, outcome in outcomes(verdict).items() if outcome is Outcome.GROWING}
    assert growing == {"heap", "blocks", "gc_objects", "rss"}
    assert "follows heap" in finding(verdict, "rss").reason
    assert not any("the time was up" in f.reason for f in verdict.findings)


def test_resident_memory_that_still_rises_over_a_flat_heap_is_kept_by_the_allocator() -> None:
    source = random.Random(2)
    level = [3e7]

    def creeping(_: int) -> float:
        level[0] += MIB * source.choice((0, 0, 0, 1, 1, 3, 0, 0))
        return level[0]

    held = series("rss", creeping, 200, 200)
    others = [series(m, flat(m), 200, 200) for m in LEVELS if m != "rss"]
    early = judge_all([held, *others], TOLERANCES, seconds=12)
    assert not early.done
    verdict = judge_all([held, *others], TOLERANCES, seconds=12, final=True)
    rss = finding(verdict, "rss")
    assert (rss.outcome, rss.cause) == (Outcome.GROWING, Cause.RETENTION)
    assert "MALLOC_ARENA_MAX" in rss.reason
    assert verdict.outcome is Outcome.GROWING


def test_resident_memory_that_rose_and_levelled_over_a_flat_heap_is_a_hint() -> None:
    verdict, _ = run(rss=lambda n: 3e7 + 32 * MIB * min(1, n / 10_000))
    rss = finding(verdict, "rss")
    assert (rss.outcome, rss.cause) == (Outcome.STABLE, Cause.RETENTION)
    assert "Hint" in rss.reason
    assert verdict.outcome is Outcome.STABLE


def test_memory_mapped_call_by_call_is_a_leak_though_the_heap_is_flat() -> None:
    verdict, _ = run(each=100, rss=lambda n: 3e7 + 65_536.0 * n)
    rss = finding(verdict, "rss")
    assert (rss.outcome, rss.cause) == (Outcome.GROWING, Cause.LEAK)
    assert "mapped" in rss.reason


def test_a_child_that_grows_is_named_as_a_child() -> None:
    verdict, _ = run(each=100, pss=lambda n: 6e7 + 65_536.0 * n)
    assert "child process" in finding(verdict, "pss").reason
    assert verdict.outcome is Outcome.GROWING


def test_a_wandering_heap_does_not_spoil_a_run_whose_objects_are_flat() -> None:
    source = random.Random(5)
    verdict = judged(100, {"heap": lambda _: 5e7 + source.gauss(0, 3e7)}, each=2, final=True)
    heap = finding(verdict, "heap")
    assert heap.outcome is Outcome.INCONCLUSIVE
    assert not heap.required
    assert verdict.outcome is Outcome.STABLE


def test_a_blind_heap_is_covered_by_resident_memory_and_says_so() -> None:
    verdict, _ = run(heap=lambda _: None)
    heap = finding(verdict, "heap")
    assert (heap.outcome, heap.required) == (Outcome.INCONCLUSIVE, False)
    assert "rss covers" in heap.reason
    assert verdict.outcome is Outcome.STABLE


def test_a_blind_metric_that_nothing_covers_leaves_the_run_without_a_verdict() -> None:
    verdict, _ = run(fds=lambda _: None)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert finding(verdict, "fds").cause is Cause.BLIND


def test_all_memory_metrics_blind_leave_the_run_without_a_verdict() -> None:
    verdict, _ = run(
        heap=lambda _: None, blocks=lambda _: None, gc_objects=lambda _: None, rss=lambda _: None
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE


def from_outside(pss: Value, rounds: int, *, each: int = 1, final: bool = False) -> Verdict:
    """A run in which only the tree's memory can be seen, of jobs of 0.6 s."""
    source = random.Random(8)
    values = {"rss": lambda _: 3e8 + source.choice((0, 4096)), "rss_anon": lambda _: 1e8}
    made = [series(m, v, rounds, each) for m, v in {**values, "pss": pss}.items()]
    return judge_all(made, TOLERANCES, seconds=0.6 * each * rounds, final=final)


def test_shares_of_pages_that_jump_do_not_keep_a_run_seen_from_outside_waiting() -> None:
    source = random.Random(6)
    verdict = from_outside(lambda _: 2e8 + source.uniform(-10, 10) * MIB, 30)
    assert verdict.done
    assert verdict.outcome is Outcome.STABLE


def test_a_share_of_pages_that_grows_over_flat_resident_memory_is_no_leak() -> None:
    verdict = from_outside(lambda n: 1e8 + MIB * n, 60)
    pss = finding(verdict, "pss")
    assert verdict.outcome is Outcome.STABLE
    assert (pss.outcome, pss.required) == (Outcome.INCONCLUSIVE, False)
    assert "shared pages" in pss.reason


def test_seen_from_outside_resident_memory_that_jumps_is_waited_for() -> None:
    source = random.Random(7)
    made = [series("rss", lambda _: 3e8 + source.uniform(-10, 10) * MIB, 30, 1)]
    assert not judge_all(made, TOLERANCES, seconds=18.0).done


def test_a_second_opinion_that_cannot_be_had_does_not_hold_up_or_spoil_a_run() -> None:
    source = random.Random(9)
    wild = {"gc_objects": lambda _: 1e8 + source.uniform(0, 9e7)}
    assert finding(judged(110, wild, each=50, final=True), "gc_objects").cause
    verdict = judged(110, wild, each=50)
    assert verdict.done
    assert verdict.outcome is Outcome.STABLE
    assert not finding(verdict, "gc_objects").required
    del wild["gc_objects"]
    blocks = {"blocks": lambda _: 1e8 + source.uniform(0, 9e7)}
    assert not judged(110, blocks, each=50).done


def test_tasks_that_cannot_be_read_are_no_gap() -> None:
    verdict, _ = run(tasks=lambda _: None)
    assert verdict.outcome is Outcome.STABLE


def test_outside_alone_a_rise_is_a_leak_that_may_be_the_allocators() -> None:
    one = series("rss", lambda n: 3e7 + 1e5 * n, 40, 100)
    verdict = judge_all([one], TOLERANCES, seconds=2.4)
    assert verdict.outcome is Outcome.GROWING
    assert "from outside" in finding(verdict, "rss").reason


def test_a_peak_over_its_budget_ends_the_run() -> None:
    verdict = judged(2, {"peak": lambda _: 401 * MIB}, budgets={"peak": 400 * MIB})
    assert verdict.done
    assert verdict.outcome is Outcome.OVER_BUDGET
    peak = finding(verdict, "peak")
    assert (peak.cause, peak.peak) == (Cause.PEAK, 401 * MIB)
    assert "401 MiB against a budget of 400 MiB" in peak.reason


def test_a_peak_at_its_budget_is_within_it() -> None:
    verdict, _ = run(peak=lambda _: 400 * MIB)
    assert "peak" not in outcomes(verdict)
    within = judged(12, {"peak": lambda _: 400 * MIB}, budgets={"peak": 400 * MIB})
    assert within.outcome is Outcome.STABLE


def test_resident_memory_over_its_budget_is_not_called_growing_while_it_is_level() -> None:
    source = random.Random(2)
    level: dict[str, Value] = {"rss": lambda _: 300 * MIB + source.gauss(0, 1e5)}
    verdict = judged(40, level, final=True, budgets={"rss": 100 * MIB})
    finding = next(f for f in verdict.findings if f.metric == "rss")
    assert (finding.outcome, finding.cause) == (Outcome.OVER_BUDGET, Cause.PEAK)


def test_a_budget_without_readings_is_not_passed_silently() -> None:
    verdict = judged(12, budgets={"peak": 400 * MIB})
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_peak_in_warm_up_counts() -> None:
    peak = Series("peak", "bytes", ((0, 9e8), (10, 1e8), (20, 1e8)), warm_up=1)
    verdict = judge_all([peak], {}, budgets={"peak": 5e8}, seconds=1)
    assert verdict.outcome is Outcome.OVER_BUDGET


def test_the_next_round_is_small_while_memory_floods() -> None:
    verdict = judged(2, {"heap": lambda n: 5e6 + MIB * n}, each=10)
    assert not verdict.done
    assert verdict.more_iterations is not None
    assert 1 <= verdict.more_iterations <= 8


def test_a_flat_run_has_no_opinion_on_the_next_round() -> None:
    assert judged(3).more_iterations is None


def test_growth_outranks_budgets_and_budgets_outrank_doubt() -> None:
    def made(*found: Outcome) -> Outcome:
        return overall_outcome([Finding(str(k), "", each) for k, each in enumerate(found)])

    assert made(Outcome.OVER_BUDGET, Outcome.GROWING) is Outcome.GROWING
    assert made(Outcome.INCONCLUSIVE, Outcome.OVER_BUDGET) is Outcome.OVER_BUDGET
    assert made(Outcome.STABLE, Outcome.INCONCLUSIVE) is Outcome.INCONCLUSIVE
    assert made(Outcome.STABLE) is Outcome.STABLE
    assert made() is Outcome.INCONCLUSIVE


def test_doubt_about_what_is_not_required_does_not_count() -> None:
    doubt = Finding("pss", "bytes", Outcome.INCONCLUSIVE, required=False)
    assert overall_outcome([doubt, Finding("heap", "bytes", Outcome.STABLE)]) is Outcome.STABLE
    assert overall_outcome([doubt]) is Outcome.INCONCLUSIVE


def test_the_package_exports_six_names() -> None:
    assert sorted(leak_suite.verdict.__all__) == [
        "Tolerance",
        "Verdict",
        "judge",
        "judge_all",
        "overall_outcome",
        "resolve_tolerance",
    ]


def test_free_chunks_of_many_threads_are_no_leak_and_explain_no_resident_growth() -> None:
    """As read of four threads that decode pictures: 154 MiB of arenas, 0.1 MiB of small chunks."""
    arenas = [26, 35, 84, 84, 87, 87, 87, 90, 90, 90, 108, 119, 119, 119, 151, 155, 154, 164, 177]
    arenas += [177, 177, 177, 177, 177, 177, 189, 199]
    rss = tuple((n, (40 + value) * MIB) for n, value in enumerate(arenas))
    series = [
        Series("heap", "bytes", tuple((n, 7.36e6 + 3_500.0 * n) for n, _ in rss)),
        Series("rss", "bytes", rss),
        Series("threads", "threads", tuple((n, 6.0) for n, _ in rss)),
    ]
    given = {one.metric: TOLERANCES[one.metric] for one in series}
    assert not judge_all(series, given, seconds=7.5).done

"""What holds for the verdict whatever the numbers."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from leak_suite.result import Finding, Outcome, Series
from leak_suite.verdict import Tolerance, judge, judge_all, overall_outcome
from leak_suite.verdict.policy import noise_allowance
from leak_suite.verdict.shape import growth_of
from leak_suite.verdict.trend import drift_interval, sen_slope, steps_interval, thin, trend

BYTES = Tolerance(exact=False, unit="bytes", min_rate=1.0, minimum_growth=4096)
COUNT = Tolerance(exact=True, unit="descriptors")

levels = st.lists(st.integers(0, 10**8), min_size=6, max_size=60)

# What may happen from one reading to the next: nothing, noise, a small step, a leap, a fall.
steps = st.one_of(
    st.just(0), st.integers(-3, 3), st.integers(0, 40), st.integers(0, 4_000), st.integers(-200, 0)
)
walks = st.lists(steps, min_size=6, max_size=80).map(lambda found: list(accumulate(found)))


def series(values: list[float], unit: str = "bytes") -> Series:
    metric = "heap" if unit == "bytes" else "fds"
    return Series(metric, unit, tuple((1000 * k, float(v)) for k, v in enumerate(values)))


def outcome(values: list[float], tolerance: Tolerance) -> tuple[Outcome, str]:
    finding = judge(series(values, tolerance.unit), tolerance, final=True, seconds=2.0)
    assert finding is not None
    return finding.outcome, finding.cause


@given(levels, st.integers(-(10**9), 10**9))
def test_adding_a_constant_changes_nothing(values: list[int], shift: int) -> None:
    for tolerance in (BYTES, COUNT):
        moved = [v + shift for v in values]
        assert outcome([float(v) for v in values], tolerance) == outcome(
            [float(v) for v in moved], tolerance
        )


@given(levels, st.integers(1, 20))
def test_a_noisy_series_in_another_unit_is_judged_the_same(values: list[int], power: int) -> None:
    factor = 2.0**power
    scaled = Tolerance(
        exact=False,
        unit="things",
        min_rate=BYTES.min_rate * factor,
        minimum_growth=4096 * factor,
        implausible=2.0**25 * factor,
        max_detectable=64 * factor,
    )
    plain = Tolerance(
        exact=False,
        unit="things",
        min_rate=BYTES.min_rate,
        minimum_growth=4096,
        implausible=2.0**25,
        max_detectable=64,
    )
    whole = outcome([float(v) for v in values], plain)
    assert whole == outcome([v * factor for v in values], scaled)


@given(st.floats(2, 1e6), st.integers(10, 80), st.integers(1, 10**5))
def test_a_clean_ramp_above_the_least_rate_grows(rate: float, count: int, each: int) -> None:
    samples = tuple((each * k, 1e6 + rate * each * k) for k in range(count))
    if rate * each * (count - 1) < 8192:
        return
    finding = judge(Series("heap", "bytes", samples), BYTES, final=True, seconds=60)
    assert finding is not None
    assert finding.outcome is Outcome.GROWING


@given(st.floats(-1e12, 1e12), st.integers(5, 80), st.floats(0, 100))
def test_a_constant_never_grows(value: float, count: int, seconds: float) -> None:
    for tolerance in (BYTES, COUNT):
        finding = judge(series([value] * count, tolerance.unit), tolerance, seconds=seconds)
        assert finding is None or finding.outcome is Outcome.STABLE
        last = judge(series([value] * count, tolerance.unit), tolerance, final=True)
        assert last is not None
        assert last.outcome is Outcome.STABLE


@given(levels)
def test_what_only_falls_never_grows(values: list[int]) -> None:
    falling = [float(v) for v in sorted(values, reverse=True)]
    for tolerance in (BYTES, COUNT):
        assert outcome(falling, tolerance)[0] is not Outcome.GROWING


@given(levels, st.booleans())
def test_a_final_finding_always_answers_in_a_sentence(values: list[int], exact: bool) -> None:
    tolerance = COUNT if exact else BYTES
    judged = series([float(v) for v in values], tolerance.unit)
    finding = judge(judged, tolerance, final=True)
    assert finding is not None
    assert finding.reason.endswith(".")


@given(st.lists(st.sampled_from(Outcome), max_size=6), st.randoms())
def test_the_overall_outcome_does_not_depend_on_order(
    outcomes: list[Outcome], order: random.Random
) -> None:
    findings = [Finding(str(k), "", each) for k, each in enumerate(outcomes)]
    mixed = findings[:]
    order.shuffle(mixed)
    assert overall_outcome(findings) is overall_outcome(mixed)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_white_noise_is_not_growing(seed: int) -> None:
    source = random.Random(seed)
    values = [source.gauss(0, 1e5) for _ in range(60)]
    assert outcome(values, BYTES)[0] is not Outcome.GROWING


@given(walks, st.integers(0, 60), st.sampled_from([1, 1000, 100_000]), st.booleans())
def test_what_grows_has_an_interval_above_zero_with_its_rate_in_it(
    values: list[int], slope: int, each: int, final: bool
) -> None:
    grown = [v + slope * k for k, v in enumerate(values)]
    counted = tuple((each * k, float(v)) for k, v in enumerate(grown))
    measured = tuple((n, 1e5 * v) for n, v in counted)
    level = tuple((n, 1e6) for n, _ in counted)
    series = [Series("fds", "descriptors", counted), Series("heap", "bytes", level)]
    series += [Series("rss", "bytes", measured), Series("temp_bytes", "bytes", measured)]
    allowed = {"fds": COUNT, "heap": BYTES, "rss": BYTES, "temp_bytes": BYTES}
    for exhausted in (False, True):
        verdict = judge_all(series, allowed, final=final, seconds=20, exhausted=exhausted)
        for finding in verdict.findings:
            if finding.outcome is Outcome.GROWING:
                assert finding.rate is not None
                assert finding.interval is not None
                low, high = finding.interval
                assert 0 < low <= finding.rate <= high, finding


def test_stairs_that_are_kept_grow_though_they_are_far_from_a_line() -> None:
    stairs = [0, 0, 1, 2, 2, 3, 3, 15, 15, 15, 27, 29, 35]
    points = [(1000.0 * k, float(v)) for k, v in enumerate(stairs)]
    assert trend(points).interval[0] < 0
    rate, (low, high) = growth_of(points, trend(points))
    assert 0 < low < rate < high
    finding = judge(series([float(v) for v in stairs], "descriptors"), COUNT, final=True)
    assert finding is not None
    assert finding.outcome is Outcome.GROWING


def test_the_interval_of_steps_is_that_of_a_poisson_count() -> None:
    # Garwood's interval of a count of 10 is 4.795 to 18.39, that of Fay and Feuer with equal
    # weights is the same.
    low, high = steps_interval([(float(k), float(k)) for k in range(11)])
    assert abs(10 * low - 4.795) < 0.03
    assert abs(10 * high - 18.39) < 0.03


def test_the_interval_of_a_drift_is_student_s() -> None:
    # Steps 1, 2, 3, 4, 5: mean 3, standard error 0.7071; t of 4 degrees of freedom is 2.776.
    low, high = drift_interval([(0, 0.0), (1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0), (5, 15.0)])
    assert abs(low - (3 - 2.776 * 0.7071)) < 0.06
    assert abs(high - (3 + 2.776 * 0.7071)) < 0.06


@given(st.lists(st.floats(-1e6, 1e6), min_size=50, max_size=300))
def test_thinning_keeps_the_order_and_the_mean(values: list[float]) -> None:
    points = [(float(k), v) for k, v in enumerate(values)]
    thinned = thin(points)
    assert len(thinned) <= 48
    assert all(a[0] < b[0] for a, b in pairwise(thinned))
    assert thinned[0][0] >= 0
    assert min(values) - 1e-6 <= min(v for _, v in thinned)


def test_sens_slope_is_the_median_of_all_slopes() -> None:
    # The slopes of the pairs are 1, 3, 2, 5, 2 and -1, so their median is 2.
    assert sen_slope([(0, 0.0), (1, 1.0), (2, 6.0), (3, 5.0 + 0.0)]) == (5 / 3 + 2) / 2


def test_an_autocorrelated_wander_counts_for_less_than_white_noise() -> None:
    source = random.Random(4)
    white = [(float(k), 0.1 * k + source.gauss(0, 3)) for k in range(48)]
    wander, level = [], 0.0
    for k in range(48):
        level = 0.9 * level + source.gauss(0, 3)
        wander.append((float(k), 0.1 * k + level))
    assert trend(wander).error > 2 * trend(white).error


def test_the_noise_allowance_grows_with_time() -> None:
    assert noise_allowance(1) <= noise_allowance(7) <= noise_allowance(20)

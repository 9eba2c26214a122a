"""What holds for the verdict whatever the numbers."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from leak_suite.result import Finding, Outcome, Series
from leak_suite.verdict import Tolerance, judge, overall_outcome
from leak_suite.verdict.policy import noise_allowance
from leak_suite.verdict.trend import sen_slope, thin, trend

BYTES = Tolerance(exact=False, unit="bytes", min_rate=1.0, minimum_growth=4096)
COUNT = Tolerance(exact=True, unit="descriptors")

levels = st.lists(st.integers(0, 10**8), min_size=6, max_size=60)


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
def test_a_clean_ramp_above_the_floor_grows_in_the_end(rate: float, count: int, each: int) -> None:
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
def test_a_final_look_always_answers_in_a_sentence(values: list[int], exact: bool) -> None:
    tolerance = COUNT if exact else BYTES
    judged = series([float(v) for v in values], tolerance.unit)
    finding = judge(judged, tolerance, final=True)
    assert finding is not None
    assert finding.reason.endswith(".")


@given(st.lists(st.sampled_from(Outcome), max_size=6), st.randoms())
def test_the_fold_does_not_depend_on_order(outcomes: list[Outcome], order: random.Random) -> None:
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


def test_patience_with_noise_grows_with_time() -> None:
    assert noise_allowance(1) <= noise_allowance(7) <= noise_allowance(20)

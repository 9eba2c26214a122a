"""Tolerated growth, short runs, missing readings, and what a finding says of its own limits."""

from __future__ import annotations

import math

from leak_suite.result import Cause, Outcome, Series
from leak_suite.verdict import Tolerance, judge
from tests.leak_suite.made_up_series import BYTES, COUNT, noise, run

GRAPHS = (
    "1:-97340 4:2720 13:2594 24:2676 40:2743 61:2874 84:2929 111:2985 148:2989 161:3011 "
    "171:3034 194:3070 230:3022 240:3047 261:3062 276:3084 293:3103 309:3116 329:3145 "
    "340:3168 366:3172 384:3195 412:3200 437:3235 494:3235 529:3262 561:3291 620:3371 "
    "670:3431 "
)
"""Blocks by iteration, as measured: MediaPipe keeps some for every graph, ever more rarely."""


def test_growth_far_below_a_generous_tolerance_does_not_matter_though_it_never_rests() -> None:
    tolerance = Tolerance(exact=False, unit="blocks", min_rate=32.0)
    pairs = (pair.split(":") for pair in GRAPHS.split())
    samples = tuple((int(n), float(value)) for n, value in pairs)
    found = judge(Series("blocks", "blocks", samples, warm_up=1), tolerance, final=True, seconds=50)
    assert found is not None
    assert found.outcome is Outcome.STABLE, found.reason


def test_what_the_first_iterations_load_does_not_drown_what_follows() -> None:
    tolerance = Tolerance(exact=False, unit="blocks", min_rate=32.0)
    pairs = (pair.split(":") for pair in GRAPHS.split())
    later = [(int(n) + 9, float(value)) for n, value in pairs]
    samples = ((1, -1e5), (4, -9.9e4), (7, -9.8e4), *later)
    found = judge(Series("blocks", "blocks", samples), tolerance, final=True, seconds=50)
    assert found is not None
    assert found.outcome is Outcome.STABLE, found.reason
    again = (*samples[:-1], (samples[-1][0], 1e5 + samples[-1][1]))
    jumps = judge(Series("blocks", "blocks", again), tolerance, final=True, seconds=50)
    assert jumps is not None
    assert jumps.outcome is not Outcome.STABLE, "what comes again is no first use"


def test_a_late_start_above_the_tolerance_does_not_hide_in_the_whole() -> None:
    tolerance = Tolerance(exact=False, unit="blocks", min_rate=32.0)
    samples = tuple((n, 4e5 + 3.0 * n + 600.0 * max(0, n - 368)) for n in range(0, 400, 10))
    assert judge(Series("blocks", "blocks", samples), tolerance, seconds=26) is None


def test_growth_just_below_the_tolerance_does_not_matter_and_just_above_it_does() -> None:
    tolerance = Tolerance(exact=False, unit="bytes", min_rate=16.0)
    below, _ = run(lambda n: 15.0 * n, tolerance, milliseconds=0.01)
    above, _ = run(lambda n: 17.0 * n, tolerance, milliseconds=0.01)
    assert (below.outcome, above.outcome) == (Outcome.STABLE, Outcome.GROWING)


def test_a_ramp_that_stops_one_round_before_the_end_is_not_growing() -> None:
    samples = tuple((1000 * k, 640e3 * min(k, 19)) for k in range(22))
    finding = judge(Series("heap", "bytes", samples), BYTES, seconds=1.2)
    assert finding is None or finding.outcome is not Outcome.GROWING


def test_a_ramp_that_the_budget_cut_off_is_growing_and_says_what_else_it_may_be() -> None:
    finding, _ = run(lambda n: 2000.0 * n, milliseconds=5, budget=3)
    assert finding.outcome is Outcome.GROWING
    assert "a cache of more than" in finding.reason


def final(samples: list[tuple[int, float]]) -> Outcome:
    finding = judge(Series("heap", "bytes", tuple(samples)), BYTES, final=True, seconds=14)
    assert finding is not None
    return finding.outcome


def test_a_decaying_drift_that_the_budget_cut_off_is_not_growing() -> None:
    drift = [(30 * k, 205e4 * (1 - math.exp(-30 * k / 10_000))) for k in range(235)]
    assert final(drift) is not Outcome.GROWING


def test_a_decaying_drift_is_not_growing_in_its_last_half_either() -> None:
    drift = [(250 * k, 376 * 12_000 * (1 - math.exp(-250 * k / 12_000))) for k in range(39)]
    assert final(drift) is not Outcome.GROWING


def test_a_reversal_before_outweighs_the_slope_of_the_next() -> None:
    teeth = [(20 * k, 1e3 * ((1000 + 20 * k) % 3000)) for k in range(244)]
    assert final(teeth) is not Outcome.GROWING


def test_a_cache_that_filled_just_before_the_end_is_not_growing() -> None:
    cache = [(100 * k, 6e4 * min(k, 82)) for k in range(101)]
    assert final(cache) is not Outcome.GROWING


def test_two_readings_are_too_few() -> None:
    series = Series("heap", "bytes", ((0, 1.0), (10, 1.0)))
    assert judge(series, BYTES) is None
    finding = judge(series, BYTES, final=True)
    assert finding is not None
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.TOO_FEW)


def test_two_readings_are_enough_for_a_flood() -> None:
    series = Series("fds", "descriptors", ((0, 5.0), (1500, 1505.0)))
    finding = judge(series, COUNT, final=True)
    assert finding is not None
    assert finding.outcome is Outcome.GROWING


def test_readings_that_are_all_unknown_are_not_zero() -> None:
    series = Series("heap", "bytes", tuple((n, None) for n in range(0, 1000, 50)))
    assert judge(series, BYTES) is None
    finding = judge(series, BYTES, final=True)
    assert finding is not None
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.BLIND)


def test_single_unknown_readings_are_passed_over() -> None:
    holes: tuple[tuple[int, float | None], ...] = tuple(
        (5000 * k, None if k % 3 == 0 else 64.0 * 5000 * k) for k in range(30)
    )
    finding = judge(Series("heap", "bytes", holes), BYTES, seconds=1.5)
    assert finding is not None
    assert finding.outcome is Outcome.GROWING


def test_growth_during_warm_up_is_not_judged() -> None:
    samples = tuple((5000 * k, 1e8 * min(k, 5)) for k in range(30))
    finding = judge(Series("heap", "bytes", samples, warm_up=5), BYTES, seconds=1.5)
    assert finding is not None
    assert (finding.outcome, finding.cause) == (Outcome.STABLE, Cause.NONE)


def test_what_drowns_in_noise_is_inconclusive_and_says_how_much_would() -> None:
    finding, _ = run(noise(3e8), milliseconds=300, budget=6)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "would drown" in finding.reason


def test_stable_says_what_it_could_have_seen() -> None:
    finding, _ = run(noise(3.5e5), milliseconds=0.6)
    assert finding.detectable_rate is not None
    assert 10 < finding.detectable_rate < 1000
    assert finding.longest_period is not None
    assert finding.longest_period >= 1000


def test_a_leak_twice_as_large_as_what_could_be_seen_is_caught() -> None:
    clean, _ = run(noise(3.5e5), milliseconds=0.6)
    assert clean.detectable_rate is not None
    rate, again = 2 * clean.detectable_rate, noise(3.5e5, 7)
    leaky, _ = run(lambda n: rate * n + again(n), milliseconds=0.6)
    assert leaky.outcome is Outcome.GROWING


def test_reasons_count_bytes_as_people_do() -> None:
    finding, _ = run(lambda n: 1536.0 * n)
    assert "1.5 KiB per iteration" in finding.reason


def test_reasons_tell_rare_growth_as_one_in_so_many() -> None:
    finding, _ = run(lambda n: n // 1000, COUNT, milliseconds=0.03)
    assert "every 1,000 iterations" in finding.reason

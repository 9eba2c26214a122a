"""The parts that a verdict is made of: new_maxima, teeth, halves, fading and cycles."""

from __future__ import annotations

import math
import random

import pytest

from leak_suite.verdict.shape import (
    cycles,
    decays,
    max_reversal,
    measure_ramp,
    new_maxima,
    stalls,
)
from leak_suite.verdict.trend import trend


def points(values: list[float], each: float = 10) -> list[tuple[float, float]]:
    return [(each * k, float(v)) for k, v in enumerate(values)]


def test_a_new_maximum_is_a_new_height_and_not_a_return_to_an_old_one() -> None:
    seen = new_maxima(points([0, 5, 0, 5, 0, 6, 6]), 0)
    assert (seen.count, seen.late, seen.last, seen.tail) == (2, 1, 50, 10)
    assert seen.longest_gap == 40


def test_moves_within_the_quantum_are_no_new_maxima() -> None:
    assert new_maxima(points([0, 1, 2, 3, 4]), 10).count == 0


def test_small_moves_add_up_to_a_new_maximum() -> None:
    assert new_maxima(points([0, 4, 8, 12, 16, 20, 24]), 10).count == 2


def test_a_reversal_is_what_rose_and_was_given_back() -> None:
    assert max_reversal(points([0, 10, 2, 3])) == 8
    assert max_reversal(points([0, 1, 2, 3])) == 0


def test_a_fall_from_the_level_of_the_start_is_no_reversal() -> None:
    assert max_reversal(points([10, 2, 3, 4])) == 0


def test_a_series_that_began_near_a_maximum_counts_it_whole() -> None:
    assert max_reversal(points([80, 90, 0, 10])) == 90


def test_halves_are_halves_of_the_iterations_though_rounds_get_longer() -> None:
    times = [10 * 1.1**k for k in range(60)]
    half = (times[0] + times[-1]) / 2
    bent = [(n, min(n, half)) for n in times]
    seen = measure_ramp(bent)
    assert seen.first == pytest.approx(1, rel=0.05)
    assert seen.second < 0.1
    assert seen.decays


def test_a_straight_line_does_not_decay_and_a_slight_bend_does() -> None:
    assert not measure_ramp(points([float(k) for k in range(40)])).decays
    assert measure_ramp(points([40 * (1 - math.exp(-k / 80)) for k in range(40)])).decays


def test_scattered_jumps_are_not_taken_for_decay() -> None:
    source = random.Random(1)
    level, values = 0.0, []
    for _ in range(200):
        level += source.random() < 0.3
        values.append(level)
    assert not measure_ramp(points(values)).decays


def test_a_ramp_that_stands_still_at_its_end_stalls() -> None:
    ramp = points([float(min(k, 34)) for k in range(40)])
    assert stalls(ramp, 0.1)
    assert not stalls(points([float(k) for k in range(40)]), 0.1)


def test_a_staircase_with_a_step_in_three_readings_does_not_stall() -> None:
    assert not stalls(points([float(k // 3) for k in range(40)]), 1 / 30)


def test_what_decays_gains_less_in_every_fifth() -> None:
    assert decays(points([1 - math.exp(-k / 15) for k in range(60)]), 0, 0.25)
    assert not decays(points([float(k) for k in range(60)]), 0, 0.25)
    assert not decays(points([min(k, 20) + 0.2 * k for k in range(60)]), 0, 0.25)


def test_teeth_of_equal_height_are_a_cycle_and_growing_ones_are_not() -> None:
    assert cycles(points([float(k % 10) for k in range(50)]))
    assert not cycles(points([float(k % 10) * (1 + k / 10) for k in range(50)]))
    assert not cycles(points([k % 10 + k / 2 for k in range(50)]))


def test_white_noise_is_no_cycle() -> None:
    source = random.Random(2)
    assert not cycles(points([source.gauss(0, 1) for _ in range(100)]))


@pytest.mark.parametrize("seed", range(20))
def test_a_slow_wander_is_not_a_trend(seed: int) -> None:
    source, level, values = random.Random(seed), 0.0, []
    for _ in range(48):
        level = 0.9 * level + source.gauss(0, 1)
        values.append(level)
    assert abs(trend(points(values)).z) < 4.5


@pytest.mark.parametrize("seed", range(20))
def test_a_random_walk_is_not_a_trend(seed: int) -> None:
    source, level, values = random.Random(seed), 0.0, []
    for _ in range(48):
        level += source.gauss(0, 1)
        values.append(level)
    assert abs(trend(points(values)).z) < 4.5

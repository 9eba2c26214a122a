"""Readings of processes that come and go: growth is added up over lives, and never invented."""

from __future__ import annotations

import pytest

from leak_suite.runner.process_samples import ProcessSamples
from leak_suite.subject import Life, ProcessReading

MINIMUM = 20.0


def collected(lives: dict[int, tuple[int, list[float]]], *, warm_up: int = 2) -> ProcessSamples:
    """One reading every ten iterations; `lives` are by pid: (the first reading, the values)."""
    samples = ProcessSamples(lambda _: "bytes")
    readings = max(first + len(values) for first, values in lives.values())
    for index in range(readings):
        there = {
            Life(pid, 0): ProcessReading("workers", {"heap": values[index - first]})
            for pid, (first, values) in lives.items()
            if first <= index < first + len(values)
        }
        samples.add(10 * index, there)
        if index == warm_up:
            samples.end_warm_up()
    return samples


def heap(samples: ProcessSamples) -> list[float | None]:
    (series,) = samples.series(lambda _: MINIMUM)["workers"]
    return [value for _, value in series.samples]


def test_workers_that_live_through_the_run_add_up() -> None:
    two = {1: (0, [100.0 + i for i in range(20)]), 2: (0, [50.0] * 20)}
    assert heap(collected(two)) == [150.0 + i for i in range(20)]


def test_a_worker_that_is_replaced_takes_no_growth_back() -> None:
    lives = {pid: (12 * pid, [100.0 + 9 * i for i in range(12)]) for pid in range(5)}
    values = heap(collected(lives))
    assert values[0] is not None
    assert values[-1] is not None
    assert values[-1] - values[0] == pytest.approx(9 * 11 * 5)


def test_replaced_workers_that_level_off_after_first_use_grow_nothing() -> None:
    life = [100.0, 140.0, 150.0, *[150.0] * 13]
    values = heap(collected({pid: (16 * pid, life) for pid in range(4)}))
    assert values[-1] == pytest.approx(values[16])


def test_what_each_life_loads_for_itself_is_no_pace_that_all_share() -> None:
    late = [100.0] * 8 + [900.0] * 8
    lives = {pid: (16 * pid, late if pid % 3 == 0 else [100.0] * 16) for pid in range(6)}
    assert len(set(heap(collected(lives)))) == 1


def test_a_cache_that_fills_for_most_of_each_life_is_no_pace() -> None:
    """As `urlsplit` in a server: 128 entries, in workers that are replaced after 200 requests."""
    life = [100.0 + 20 * min(i, 13) for i in range(20)]
    values = heap(collected({pid: (20 * pid, life) for pid in range(5)}))
    assert len(set(values)) == 1


def test_growth_that_a_life_never_adds_up_to_the_minimum_is_left_out() -> None:
    lives = {pid: (12 * pid, [100.0 + i for i in range(12)]) for pid in range(5)}
    samples = collected(lives)
    assert len(set(heap(samples))) == 1
    assert samples.coarsest("workers") == 110


def test_first_use_late_in_most_lives_is_no_pace() -> None:
    idle = [*[100.0] * 15, 120.0, 700.0, 701.0, 702.0, 702.0]
    lives = {pid: (20 * pid, idle) for pid in range(5)}
    assert len(set(heap(collected(lives)))) == 1


def test_lives_too_short_to_tell_make_the_group_unknown() -> None:
    short = {pid: (4 + 2 * pid, [100.0, 105.0]) for pid in range(10)}
    assert set(heap(collected(short))) == {None}


def test_a_process_that_is_there_for_one_reading_is_passing_and_not_a_group() -> None:
    passing = {pid: (pid, [100.0]) for pid in range(3, 12)}
    samples = collected({**passing, 99: (0, [1.0] * 20)})
    assert heap(samples) == [1.0] * 20


def test_rounds_are_kept_short_enough_to_see_a_life_many_times() -> None:
    assert collected({1: (0, [1.0] * 20)}).longest_round() is None
    lives = {pid: (10 * pid, [1.0] * 10) for pid in range(4)}
    assert collected(lives).longest_round() == 9


def test_what_a_trace_leaves_in_each_process_is_no_growth() -> None:
    readings = ProcessSamples(lambda _: "bytes")
    for index in range(20):
        if index == 12:
            readings.end_trace()
        left = 40_000.0 if index >= 12 else 0.0
        there = {
            Life(1, 0): ProcessReading("workers", {"heap": 100.0 + index + left}),
            Life(2, 0): ProcessReading("workers", {"heap": 50.0 + left}),
        }
        readings.add(10 * index, there)
        if index == 2:
            readings.end_warm_up()
    assert heap(readings) == [150.0 + index for index in range(20)]


def test_what_a_process_loads_for_its_end_is_no_growth() -> None:
    life = [*[100.0] * 19, 400.0]
    assert len(set(heap(collected({1: (0, life), 2: (20, life), 3: (40, [100.0] * 20)})))) == 1
    many = {pid: (20 * pid, life) for pid in range(6)}
    assert len(set(heap(collected(many))[:-1])) == 1


def test_what_a_process_frees_at_its_end_takes_no_growth_back() -> None:
    leaking = [*[100.0 + 5 * i for i in range(19)], 50.0]
    values = heap(collected({pid: (20 * pid, leaking) for pid in range(5)}))
    assert values[-1] is not None
    assert values[0] is not None
    assert values[-1] - values[0] > 5 * 5 * 17

"""Leaks are growing and bounded series are stable, soon and through noise."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from leak_suite.result import Cause, Outcome, Series
from leak_suite.verdict import Tolerance, judge
from tests.leak_suite.made_up_series import BLOCKS, BYTES, COUNT, KIB, MIB, Value, noise, run

GROWING: dict[str, tuple[Value, Tolerance, float]] = {
    "linear, 5 B a call": (lambda n: 5.0 * n, BYTES, 0.01),
    "linear, 64 B a call": (lambda n: 5e6 + 64 * n, BYTES, 0.1),
    "linear, 1 MiB a call": (lambda n: MIB * n, BYTES, 10),
    "linear, 105 MiB and slow": (lambda n: 105 * MIB * n, BYTES, 300),
    "linear, 256 KiB and slow": (lambda n: 256 * KIB * n, BYTES, 300),
    "one block a call": (lambda n: 4e4 + n, BLOCKS, 0.001),
    "1 MiB every 1000 calls": (lambda n: MIB * (n // 1000), BYTES, 0.03),
    "1 MiB every 1000 calls, slowly": (lambda n: MIB * (n // 1000), BYTES, 0.6),
    "64 B from call 5000 on": (lambda n: 64.0 * max(0, n - 5000), BYTES, 0.05),
    "64 B under a filling cache": (lambda n: 600.0 * min(n, 5000) + 64 * n, BYTES, 0.02),
    "a list that doubles by eighths": (
        lambda n: 8 * 1.125 ** math.floor(math.log(n + 1000, 1.125)),
        BYTES,
        0.005,
    ),
    "a descriptor a call": (lambda n: 5.0 + n, COUNT, 0.03),
    "a descriptor every 1000 calls": (lambda n: 5.0 + n // 1000, COUNT, 0.03),
    "a descriptor every 1000 calls, slowly": (lambda n: 5.0 + n // 1000, COUNT, 0.5),
    "four threads a slow call": (lambda n: 1.0 + 4 * n, COUNT, 500),
}

STABLE: dict[str, tuple[Value, Tolerance, float, str]] = {
    "nothing at all": (lambda _: 5e6, BYTES, 0.01, Cause.NONE),
    "a cache full within the first round": (lambda n: 4e3 * min(n, 1200), BYTES, 0.001, ""),
    "a cache of 1200 entries": (lambda n: 4e3 * min(n, 1200), BYTES, 0.02, ""),
    "a cache of 1200 entries, slowly": (lambda n: 4e3 * min(n, 1200), BYTES, 0.6, Cause.PLATEAU),
    "a cache of 10000 entries": (lambda n: 4e3 * min(n, 10_000), BYTES, 0.5, Cause.PLATEAU),
    "a step of 512 KiB": (lambda n: 512 * KIB * (n > 6000), BYTES, 0.05, Cause.PLATEAU),
    "a first use of 2 MiB": (lambda n: 2 * MIB * (n > 0), BYTES, 0.05, Cause.FIRST_USE),
    "a drift that decays": (
        lambda n: 205 * 10_000 * (1 - math.exp(-n / 10_000)),
        BYTES,
        0.3,
        Cause.PLATEAU,
    ),
    "a drift that decays, slowly": (
        lambda n: 205 * 10_000 * (1 - math.exp(-n / 10_000)),
        BYTES,
        2.0,
        Cause.PLATEAU,
    ),
    "a saw-tooth of 7000 calls": (lambda n: 100.0 * (n % 7000), BYTES, 0.05, Cause.CYCLE),
    "a pool of 60 descriptors": (lambda n: 5.0 + 2 * min(n // 20, 30), COUNT, 0.04, ""),
    "the first thread": (lambda n: 1.0 + (n > 0), COUNT, 0.04, Cause.FIRST_USE),
    "a constant and slow job": (lambda _: 9e7, BYTES, 300, Cause.NONE),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_leak_is_growing(name: str) -> None:
    value, tolerance, milliseconds = GROWING[name]
    finding, _ = run(value, tolerance, milliseconds=milliseconds)
    assert (finding.outcome, finding.cause) == (Outcome.GROWING, Cause.LEAK), finding.reason


@pytest.mark.parametrize("name", STABLE)
def test_a_bounded_series_is_stable(name: str) -> None:
    value, tolerance, milliseconds, cause = STABLE[name]
    finding, _ = run(value, tolerance, milliseconds=milliseconds)
    assert finding.outcome is Outcome.STABLE, finding.reason
    assert not cause or finding.cause == cause, finding.reason


def test_what_does_not_move_at_all_is_believed_sooner_than_what_does() -> None:
    still, sooner = run(lambda _: 5e6, milliseconds=1.0)
    moving, later = run(noise(2e4), milliseconds=1.0)
    assert still.outcome is moving.outcome is Outcome.STABLE
    assert sooner < 4.5 < 5 < later
    assert still.longest_period is not None
    assert still.longest_period <= 1001 * sooner / 3


def test_a_rare_jump_in_what_was_still_is_waited_for_again() -> None:
    finding, _ = run(lambda n: MIB * (n // 1500), milliseconds=1.0)
    assert finding.outcome is Outcome.GROWING


def test_64_bytes_a_call_are_not_still() -> None:
    finding, _ = run(lambda n: 64.0 * n, milliseconds=1.5)
    assert finding.outcome is Outcome.GROWING


def test_growth_with_the_logarithm_of_the_calls_is_not_called_steady() -> None:
    """Buffers that are kept once they are made, the rarer their size the later, of one run."""
    read = {0: 0, 690: 27125, 1468: 49270, 2160: 66991, 2841: 83431, 3553: 100514, 4248: 115480}
    read |= {4928: 131895, 5620: 147547, 6386: 162576, 7174: 183462, 7859: 196262, 8631: 212868}
    read |= {9372: 223717, 10069: 237143, 10892: 255723, 11678: 265700, 12620: 283401}
    read |= {13677: 301787, 14859: 323548, 16138: 342180, 17325: 368164, 18712: 393523}
    read |= {20305: 418857}
    series = Series("heap", "bytes", tuple(read.items()))
    assert judge(series, BYTES, seconds=1.7) is None
    faster = tuple((n, 8.0 * value) for n, value in read.items())  # of what matters, less doubt
    assert judge(replace(series, samples=faster), BYTES, seconds=1.7) is not None


def test_the_remnant_of_what_filled_before_is_not_called_steady() -> None:
    """Readings of NumPy's buffers, which crept on by 1.4 B a call once most of them were made."""
    heap = {2489: 7181344, 4026: 7274784, 5051: 7308240, 6588: 7346896, 7613: 7363760}
    heap |= {9150: 7378720, 10687: 7385376, 14272: 7395632, 17345: 7400112, 19394: 7405136}
    heap |= {22467: 7407216, 25540: 7412624, 28613: 7420208, 30662: 7421056, 32711: 7424176}
    heap |= {36808: 7429632, 39881: 7431744, 42954: 7435376, 47051: 7441168, 51148: 7444496}
    heap |= {56269: 7451728, 61390: 7462000, 66511: 7470528, 74704: 7487360}
    series = Series("heap", "bytes", tuple(heap.items()))
    strict = replace(BYTES, min_rate=1.0)
    for tolerance in (BYTES, strict):
        found = judge(series, tolerance, seconds=3.1)
        assert found is None or found.outcome is Outcome.STABLE


@pytest.mark.parametrize("seed", range(5))
def test_a_cache_that_fills_ever_more_rarely_is_stable(seed: int) -> None:
    source = random.Random(seed)

    def value(n: int) -> float:
        return 8e4 * math.log1p(min(n, 150_000) / 1000) + source.gauss(0, 2000)

    finding, _ = run(value, milliseconds=0.03)
    assert finding.outcome is Outcome.STABLE, finding.reason


def test_one_is_said_in_the_singular() -> None:
    tolerance = Tolerance(exact=True, unit="tasks")
    finding, _ = run(lambda n: float(n), tolerance, metric="tasks", milliseconds=0.01)
    assert "1 task per iteration" in finding.reason
    tolerance = Tolerance(exact=True, unit="processes")
    finding, _ = run(lambda n: float(n), tolerance, metric="children", milliseconds=10)
    assert "1 process per iteration" in finding.reason


@pytest.mark.parametrize("seed", range(10))
def test_a_heap_that_wanders_by_a_mebibyte_is_stable(seed: int) -> None:
    finding, _ = run(noise(3.5e5, seed), milliseconds=0.6)
    assert finding.outcome is Outcome.STABLE, finding.reason


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_of_a_kibibyte_shows_in_such_a_heap(seed: int) -> None:
    wander = noise(3.5e5, seed)
    finding, _ = run(lambda n: KIB * n + wander(n), milliseconds=0.6)
    assert finding.outcome is Outcome.GROWING, finding.reason


@pytest.mark.parametrize("seed", range(10))
def test_a_thread_caught_while_it_ends_is_no_growth(seed: int) -> None:
    source = random.Random(seed)
    finding, _ = run(lambda _: 4.0 + (source.random() < 0.3), COUNT, milliseconds=0.05)
    assert finding.outcome is Outcome.STABLE, finding.reason


def test_a_leak_is_seen_through_threads_caught_while_they_end() -> None:
    source = random.Random(3)
    finding, _ = run(lambda n: n // 100 + (source.random() < 0.3), COUNT, milliseconds=0.05)
    assert finding.outcome is Outcome.GROWING


def test_the_rate_is_that_of_the_leak_with_an_interval_around_it() -> None:
    jitter = noise(1e4)
    finding, _ = run(lambda n: 64 * n + jitter(n))
    assert finding.rate == pytest.approx(64, rel=0.1)
    assert finding.interval is not None
    assert finding.interval[0] <= 64 <= finding.interval[1]


def test_the_rate_under_a_filling_cache_is_that_of_the_leak_alone() -> None:
    finding, seconds = run(lambda n: 600.0 * min(n, 5000) + 64 * n, milliseconds=0.02)
    assert finding.rate == pytest.approx(64, rel=0.05)
    assert seconds < 2


def test_a_big_leak_is_declared_within_tens_of_mebibytes() -> None:
    finding, _ = run(lambda n: MIB * n, milliseconds=10)
    assert finding.peak is not None
    assert finding.peak <= 64 * MIB


def test_a_clean_fast_job_ends_within_a_second() -> None:
    assert run(lambda _: 5e6, milliseconds=0.01)[1] < 1


def test_a_leak_of_a_fast_job_is_declared_in_about_a_second() -> None:
    assert run(lambda n: 64 * n, milliseconds=0.01)[1] < 1.2


def test_a_slow_job_that_leaks_a_jobs_size_is_declared_after_a_dozen() -> None:
    finding, seconds = run(lambda n: 256 * KIB * n, milliseconds=300)
    assert finding.outcome is Outcome.GROWING
    assert seconds <= 20 * 0.3


def filled_at(full: float, last: int) -> Series:
    """Even rounds of 500 calls, and one last round; 1.5 kB a call until `full` calls."""
    calls = [*range(0, 8_001, 500), last]
    return Series("heap", "bytes", tuple((n, 1_500.0 * min(n, full)) for n in calls))


def test_growth_that_stopped_within_the_deciding_round_is_given_another() -> None:
    assert judge(filled_at(8_100, 8_500), BYTES, seconds=10.3) is None


def test_growth_that_went_on_to_the_deciding_round_is_growing() -> None:
    found = judge(filled_at(1e9, 8_500), BYTES, seconds=10.3)
    assert found is not None
    assert found.outcome is Outcome.GROWING


def test_growth_whose_rounds_were_never_even_waits_for_no_other() -> None:
    whole = filled_at(1e9, 8_500)
    stairs = [
        (n, 250_000.0 * (value // 1_000_000)) for n, value in whole.samples if value is not None
    ]
    found = judge(Series("heap", "bytes", tuple(stairs)), BYTES, seconds=10.3)
    assert found is not None
    assert found.outcome is Outcome.GROWING


def test_a_child_that_is_first_used_in_the_middle_of_the_run_leaks_nothing() -> None:
    """As read of a Celery worker: kB of heap over its first reading, with a step of 57 kB."""
    kib = [
        (5, 6.1), (30, 30.9), (55, 39.1), (80, 41.0), (120, 44.6), (153, 46.4), (186, 46.4),
        (215, 46.4), (240, 46.4), (261, 46.4), (290, 47.7), (303, 47.7), (330, 47.7), (365, 48.4),
        (392, 48.4), (413, 48.4), (442, 49.3), (481, 105.9), (533, 105.9), (567, 106.3),
        (603, 108.8), (642, 110.0), (682, 111.2), (710, 112.0), (747, 113.1), (775, 114.3),
        (824, 115.4), (848, 116.1), (889, 119.0),
    ]  # fmt: skip
    samples = tuple((n, 1000.0 * value) for n, value in kib)
    found = judge(Series("heap", "bytes", samples), BYTES, seconds=13.0, final=True)
    assert found is not None
    assert found.outcome is not Outcome.GROWING

"""Advice on recycling follows from rate, base and limit; a limit below base is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leak_suite.cli import main
from leak_suite.errors import ConfigurationError
from leak_suite.recycling import AdviceKind, advise
from leak_suite.render import render
from leak_suite.result import Agents, Details, Finding, Outcome, RunResult, Series
from leak_suite.units import KIB, MIB

BASE, RATE = 100 * MIB, 100.0 * KIB
READINGS = [100 * k for k in range(1, 31)]


def series(metric: str, base: float, rate: float) -> Series:
    return Series(metric, "bytes", ((0, base), *((n, base + rate * n) for n in READINGS)), 4)


def growing(metric: str = "rss", rate: float = RATE) -> Finding:
    return Finding(metric, "bytes", Outcome.GROWING, rate=rate, interval=(rate * 0.8, rate * 1.25))


LEAKS = RunResult(
    "shop:job",
    {},
    Outcome.GROWING,
    3000,
    29.0,
    series=(series("rss", BASE, RATE), series("peak", BASE + 12 * MIB, RATE)),
    findings=(growing(),),
    details=Details(warm_up_iterations=100),
)


def test_requests_and_time_to_the_limit_follow_from_rate_base_and_limit() -> None:
    found = advise(LEAKS, 512 * MIB)
    assert found.kind is AdviceKind.RECYCLE
    assert found.base == BASE
    assert found.transient == 12 * MIB
    headroom = 400 * MIB
    assert found.requests is not None
    assert found.requests.value == pytest.approx(headroom / RATE)
    assert found.requests.low == pytest.approx(headroom / RATE / 1.25)
    assert found.requests.high == pytest.approx(headroom / RATE / 0.8)
    assert found.seconds is not None
    assert found.seconds.value == pytest.approx(found.requests.value / 100.0)


def test_a_worker_that_lives_as_long_as_it_may_stays_below_the_limit() -> None:
    for workers in (1, 3):
        found = advise(LEAKS, 1024 * MIB, workers=workers)
        assert found.max_requests is not None
        assert found.jitter is not None
        assert found.rate is not None
        longest = found.max_requests + found.jitter
        held = BASE + 12 * MIB + longest * found.rate.high
        assert workers * held < 1024 * MIB
        assert longest * found.rate.high > 0.7 * (1024 * MIB / workers - BASE - 12 * MIB)


def test_memory_a_child_may_reach_is_above_a_fresh_one_and_below_its_share() -> None:
    found = advise(LEAKS, 1024 * MIB, workers=2)
    assert found.max_memory_per_child is not None
    assert BASE < found.max_memory_per_child < 512 * MIB - 12 * MIB


def test_what_leaked_during_warm_up_does_not_count_as_base() -> None:
    late = replace(LEAKS, series=(series("rss", BASE, 10 * RATE),))
    assert advise(late, 2048 * MIB).base == pytest.approx(BASE + 9 * RATE * READINGS[3])
    assert advise(LEAKS, 2048 * MIB).base == pytest.approx(BASE)


@pytest.mark.parametrize("limit", [64 * MIB, 105 * MIB])
def test_a_limit_that_does_not_hold_a_fresh_worker_is_refused_with_the_figure(limit: int) -> None:
    found = advise(LEAKS, limit)
    assert found.kind is AdviceKind.REFUSED
    assert found.outcome.status == 1
    assert "a fresh worker holds 100 MiB" in found.reason
    assert found.settings == ()


def test_a_limit_that_one_request_uses_up_is_refused() -> None:
    big = replace(
        LEAKS, series=(series("rss", BASE, 0.0),), findings=(growing("heap", 117.0 * MIB),)
    )
    found = advise(big, 200 * MIB)
    assert found.kind is AdviceKind.REFUSED
    assert "no worker would serve even one" in found.reason


def test_a_stable_run_needs_no_recycling_and_says_how_sure_that_is() -> None:
    calm = Finding("rss", "bytes", Outcome.STABLE, rate=0.0, interval=(-1, 1), detectable_rate=1024)
    stable = replace(
        LEAKS, outcome=Outcome.STABLE, series=(series("rss", BASE, 0.0),), findings=(calm,)
    )
    found = advise(stable, 200 * MIB)
    assert found.kind is AdviceKind.NOT_NEEDED
    assert found.outcome.status == 0
    assert "takes more than 102,400 iterations" in found.reason


def test_an_inconclusive_run_gives_no_advice() -> None:
    unclear = replace(LEAKS, outcome=Outcome.INCONCLUSIVE, findings=(), reason="it hung")
    with pytest.raises(ConfigurationError, match="inconclusive \\(it hung\\)"):
        advise(unclear, 512 * MIB)


def test_growth_that_is_known_in_blocks_only_gives_no_advice() -> None:
    blocks = Finding("blocks", "blocks", Outcome.GROWING, rate=2.0, interval=(1.9, 2.1))
    with pytest.raises(ConfigurationError, match="blocks grows by 2 blocks per iteration"):
        advise(replace(LEAKS, findings=(blocks,)), 512 * MIB)


def test_of_several_processes_all_hold_the_base_and_each_worker_has_its_share() -> None:
    several = replace(
        LEAKS,
        agents=Agents(5, 5),
        series=(series("rss", 2 * BASE, RATE), series("pss", BASE, RATE)),
    )
    found = advise(several, 512 * MIB)
    assert found.workers == 4
    assert found.base == BASE
    alone = advise(replace(several, agents=None), 512 * MIB)
    assert alone.max_requests is not None
    assert found.max_requests == pytest.approx(alone.max_requests / 4, rel=0.05)
    with pytest.raises(ConfigurationError, match="measure the service with 2 of them"):
        advise(several, 512 * MIB, workers=2)


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_advice_is_shown_with_its_lines_in_every_form(form: str) -> None:
    found = advise(LEAKS, 512 * MIB)
    text = render(found, form)
    assert f"gunicorn --max-requests {found.max_requests}" in text
    assert f"worker_max_memory_per_child = {(found.max_memory_per_child or 0) // KIB}" in text
    assert "400 MiB" not in text
    assert "512 MiB" in text


def test_the_command_reads_a_run_file_and_ends_with_the_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    LEAKS.write(path)
    assert main(["advise", str(path), "--limit", "512MiB", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["advice"]["kind"] == "recycle"
    assert main(["advise", str(path), "--limit", "64MiB"]) == 1
    assert "REFUSED: a limit of 64 MiB is too small" in capsys.readouterr().out
    assert main(["advise", str(path), "--limit", "512MiB", "--workers", "0"]) == 2
    assert "--workers must be above zero" in capsys.readouterr().err
    assert main(["advise", str(path), "--limit", "much"]) == 2

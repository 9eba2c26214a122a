"""The simulated runs of the error rates are those of the product: same rounds, same tolerances."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the picture of the page needs the group analysis")

from benchmarks.verdict_power import BUDGET_SECONDS, TOLERANCES, rounds
from leak_suite.checks.allowed import tolerances
from leak_suite.options import Options
from leak_suite.result import Series
from leak_suite.runner.runner import ROUND_JITTER, ROUND_SECONDS


def test_the_tolerances_are_those_that_a_run_without_options_has() -> None:
    series = [Series(name, one.unit) for name, one in TOLERANCES.items()]
    product = tolerances(series, Options())
    for name, one in TOLERANCES.items():
        assert (one.exact, one.unit, one.min_rate) == (
            product[name].exact,
            product[name].unit,
            product[name].min_rate,
        )


def test_rounds_begin_at_the_runner_s_shortest_and_end_with_the_budget() -> None:
    found = list(rounds(1.0, np.random.default_rng(1)))
    _, first, _ = found[0]
    assert first >= ROUND_SECONDS * (1 - ROUND_JITTER) - 0.001
    assert first <= ROUND_SECONDS * (1 + ROUND_JITTER)
    assert found[-1][1] >= BUDGET_SECONDS
    assert [last for *_, last in found] == [False] * (len(found) - 1) + [True]

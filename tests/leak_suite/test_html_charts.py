"""The data of the charts of an HTML page: readings, fitted line, range, budget."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

pytest.importorskip("jinja2", reason="HTML reports need the report extra")

from leak_suite.render.html_page import html
from leak_suite.result import Details, Outcome, Series
from tests.leak_suite.html_results import FDS, HEAP, MIB, RESULT, Page, charts_of


def test_the_fitted_line_goes_through_the_readings_with_its_rate_and_band() -> None:
    chart = charts_of(html(RESULT))["run1-m1"]
    assert chart["unit"] == "MiB"
    fit, band = chart["fit"], chart["band"]
    slope = (fit["y"][1] - fit["y"][0]) / (fit["x"][1] - fit["x"][0])
    assert math.isclose(slope * MIB, 1044.0, rel_tol=1e-6)
    assert math.isclose(fit["y"][0], chart["y"][4], rel_tol=1e-6)
    assert band["low"][0] < fit["y"][0] < band["high"][0]
    assert band["low"][1] == band["high"][1]


def test_a_late_start_is_fitted_where_it_grows() -> None:
    samples = tuple((k, max(0.0, k - 50.0)) for k in range(101))
    late = replace(FDS, metric="threads", outcome=Outcome.GROWING, rate=1.0, interval=(1.0, 1.0))
    result = replace(RESULT, series=(Series("threads", "threads", samples),), findings=(late,))
    fit = charts_of(html(result))["run1-m1"]["fit"]
    assert fit["x"] == [50, 100]
    assert fit["y"] == [0, 50]


def test_noise_too_small_to_matter_does_not_fill_a_chart() -> None:
    samples = tuple((100 * k, 4e7 + 16 * (k % 3)) for k in range(30))
    calm = replace(HEAP, outcome=Outcome.STABLE, rate=0.0, interval=(-0.1, 0.1), sites=())
    chart = charts_of(
        html(replace(RESULT, series=(Series("heap", "bytes", samples),), findings=(calm,)))
    )["run1-m1"]
    low, high = chart["range"]
    assert high - low >= 64 / 1024
    assert chart["unit"] == "MiB"


def test_a_large_warm_up_does_not_flatten_what_follows() -> None:
    samples = ((0, 0.0), (1, 3e9), *((k, 3e9 + 1000.0 * k) for k in range(2, 400)))
    series = Series("heap", "bytes", samples, warm_up=2)
    chart = charts_of(html(replace(RESULT, series=(series,), findings=(HEAP,))))["run1-m1"]
    assert chart["range"][0] > 100


def test_unknown_readings_are_gaps_and_never_zero() -> None:
    samples = ((0, 5.0), (1, None), (2, 6.0), (3, 7.0))
    result = replace(RESULT, series=(Series("fds", "descriptors", samples),), findings=(FDS,))
    chart = charts_of(html(result))["run1-m1"]
    assert chart["y"] == [5, None, 6, 7]
    assert chart["text"][1] == "unknown"
    blind = replace(result, series=(Series("fds", "descriptors", ((0, None), (1, None))),))
    assert charts_of(html(blind)) == {}
    assert "unknown" in Page(html(blind)).text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_run_with_hardly_a_reading_is_a_page_too(count: int) -> None:
    series = Series("heap", "bytes", tuple((k, 1.0 * k) for k in range(count)), warm_up=count)
    text = html(
        replace(RESULT, series=(series,), findings=(replace(HEAP, rate=None, interval=None),))
    )
    assert "Growing" in Page(text).text


def test_a_budget_is_drawn_where_the_run_knows_it() -> None:
    result = replace(RESULT, details=Details(budgets={"heap": 100 * MIB}))
    chart = charts_of(html(result))["run1-m1"]
    assert chart["budget"]["y"] == [100, 100]
    assert chart["range"][1] > 100

"""A fit is told as a fit in every form: no form says of it that something grows or does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leak_suite.render import headline, render, workflow_commands
from leak_suite.render.html_page import render_many
from leak_suite.render.index import Entry, index
from leak_suite.result import Cause, Finding, Outcome, RunResult

MIB = 1 << 20
DETAILS: dict[str, Any] = {
    "limit": 512 * MIB,
    "limit_name": "512 MiB",
    "enforced_by": "cgroup v2",
    "enforced": True,
    "refused_ways": {},
    "swap": "off",
    "fits": True,
    "users": 2,
    "peak": {"anon": 200 * MIB, "file": 90 * MIB, "kernel": 5 * MIB, "held": 205 * MIB, "pss": 1},
    "headroom": 300 * MIB,
    "headroom_from": "smallest passing limit",
    "killed": [],
    "slowdown": 1.1,
    "cold": None,
    "minimum": {"bytes": 212 * MIB, "tolerance": 8 * MIB, "trials": []},
}
FINDING = Finding("memory limit", "bytes", Outcome.STABLE, peak=205.0 * MIB, reason="no kill")
FITS = RunResult(
    "shop:app", {}, Outcome.STABLE, 20, 3.0, findings=(FINDING,),
    reason="fits in 512 MiB: 20 iterations, no kill", details={"fit": DETAILS},
)  # fmt: skip
KILLED = replace(
    FITS,
    outcome=Outcome.OVER_BUDGET,
    findings=(replace(FINDING, outcome=Outcome.OVER_BUDGET, cause=Cause.PEAK),),
    reason="does not fit in 512 MiB: the kernel killed the server itself",
    details={"fit": {**DETAILS, "fits": False, "headroom": None, "minimum": None}},
)


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_what_fits_is_told_with_its_peak_its_headroom_and_the_smallest_limit(form: str) -> None:
    text = render(FITS, form)
    assert "fits in 512 MiB: 20 iterations, no kill" in " ".join(text.split())
    for value in ("205 MiB", "300 MiB", "212 MiB"):
        assert value in text
    for wrong in ("metrics grow", "of them growing", "leak-suite: stable"):
        assert wrong not in text


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_what_does_not_fit_says_so_and_why(form: str) -> None:
    text = " ".join(render(KILLED, form).split())
    assert "does not fit in 512 MiB: the kernel killed the server itself" in text


def test_a_page_over_many_runs_calls_a_fit_a_fit() -> None:
    runs = render_many([FITS, KILLED])
    assert "</span>fits</span>" in runs
    assert "</span>does not fit</span>" in runs
    assert "</span>fits</span>" in index([Entry("shop", "shop.html", FITS)])


def test_the_headline_is_the_answer() -> None:
    assert headline(FITS) == "FITS: fits in 512 MiB: 20 iterations, no kill"
    assert headline(KILLED).startswith("DOES NOT FIT: does not fit in 512 MiB: the kernel killed")
    unclear = replace(KILLED, outcome=Outcome.INCONCLUSIVE, reason="could not be told in 512 MiB")
    assert headline(unclear) == "INCONCLUSIVE: could not be told in 512 MiB"


def test_a_pull_request_is_told_that_it_does_not_fit_and_nothing_of_a_budget() -> None:
    (line,) = workflow_commands(KILLED).splitlines()
    assert line.startswith("::error title=leak-suite%3A shop%3Aapp%3A does not fit::")
    assert "budget" not in line
    assert workflow_commands(FITS) == ""

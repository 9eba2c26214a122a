"""A fit is reported as a fit in every form: none says that something grows or does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leak_suite.fit import FitResult
from leak_suite.fit.result import FitCause, Headroom, MemoryLimit, MinimumSearch, Peak
from leak_suite.render import headline, render
from leak_suite.render.html_page import render_many
from leak_suite.render.index import Entry, index
from leak_suite.units import MIB

FITS = FitResult(
    subject="shop:app",
    environment={},
    fits=True,
    cause=FitCause.FITS,
    reason="20 iterations, no kill",
    limit=MemoryLimit(512 * MIB, "512 MiB", "cgroup v2", enforced=True, swap="off"),
    users=2,
    iterations=20,
    seconds=3.0,
    peak=Peak(200 * MIB, 90 * MIB, 5 * MIB, unreclaimable=205 * MIB, pss=1),
    slowdown=1.1,
    headroom=Headroom(300 * MIB, "smallest passing limit"),
    minimum=MinimumSearch(212 * MIB, 8 * MIB),
)
KILLED = replace(
    FITS,
    fits=False,
    cause=FitCause.KILLED,
    reason="the kernel killed the server itself",
    headroom=None,
    minimum=None,
)


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_what_fits_is_shown_with_its_peak_its_headroom_and_the_smallest_limit(form: str) -> None:
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


def test_the_headline_is_the_verdict() -> None:
    assert headline(FITS) == "FITS: fits in 512 MiB: 20 iterations, no kill"
    assert headline(KILLED).startswith("DOES NOT FIT: does not fit in 512 MiB: the kernel killed")
    unclear = replace(KILLED, fits=None, cause=FitCause.TOO_FEW, reason="no iteration")
    assert headline(unclear) == "INCONCLUSIVE: could not be judged in 512 MiB: no iteration"


def test_a_pull_request_is_annotated_that_it_does_not_fit_and_not_with_a_budget() -> None:
    (line,) = render(KILLED, "annotations").splitlines()
    assert line.startswith("::error title=leak-suite%3A shop%3Aapp%3A does not fit::")
    assert "budget" not in line
    assert render(FITS, "annotations") == ""

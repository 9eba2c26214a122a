"""What a comparison proves of a fix: growth that is gone, or would not have been seen."""

from __future__ import annotations

import pytest

from leak_suite.compare import Comparison, MinRate, compare, profile
from leak_suite.render import render
from leak_suite.result import Cause, Finding, Outcome, RunResult, Site

KIB, MIB = 1024, 1024**2
HERE = {"platform": "linux", "machine": "x86_64", "python": "3.11.7", "allocator": "glibc"}


MEMORY = {
    "heap": MinRate(1.0, memory=True),
    "rss": MinRate(64.0, memory=True),
    "fds": MinRate(0, exact=True),
}
LEAK_SITE = Site("shop.py", 7, "order", 800.0)


def judged(*findings: Finding, outcome: Outcome, reason: str = "") -> RunResult:
    return RunResult("job:work", HERE, outcome, 900, 1.0, findings=findings, reason=reason)


def heap(rate: float | None = None, *, detectable: float | None = None) -> Finding:
    """Heap that grows by `rate`, or that is stable and would have shown `detectable`."""
    if rate is not None:
        return Finding("heap", "bytes", Outcome.GROWING, rate=rate, sites=(LEAK_SITE,))
    return Finding("heap", "bytes", Outcome.STABLE, detectable_rate=detectable)


def noisy(metric: str, cause: Cause = Cause.NOISY) -> Finding:
    return Finding(metric, "bytes", Outcome.INCONCLUSIVE, cause)


RSS_TOO = Finding("rss", "bytes", Outcome.GROWING, rate=900.0)
LEAKY = judged(heap(800.0), RSS_TOO, outcome=Outcome.GROWING)
FIXED = judged(heap(detectable=8.0), outcome=Outcome.STABLE)


def fix(head: RunResult, base: RunResult = LEAKY) -> Comparison:
    return compare([profile([base])], [profile([head])], MEMORY)


def test_a_fix_says_what_its_run_would_have_seen_and_where_the_leak_was() -> None:
    found = fix(FIXED, judged(heap(800.0), outcome=Outcome.GROWING))
    (change,) = found.of_kind("improvement")
    assert (found.status, change.would_see, str(change.site)) == (0, 0.01, "shop.py:7 order")
    text = render(found, "markdown")
    assert "IMPROVED: job:work: heap no longer grows by 800 B per iteration" in text
    assert "it grew, and no longer does; 1% of it would have been seen; it was at shop.py:7" in text


def test_a_tenth_is_said_in_words() -> None:
    found = fix(judged(heap(detectable=80.0), outcome=Outcome.STABLE))
    assert "a tenth of it would have been seen" in render(found, "console")


def test_a_run_that_would_not_have_seen_the_leak_proves_nothing() -> None:
    found = fix(judged(heap(detectable=801.0), outcome=Outcome.STABLE))
    assert found.status == 2
    assert "too short to see that again" in render(found, "console")


def test_one_noisy_row_beside_a_proved_fix_is_a_note() -> None:
    head = judged(heap(detectable=8.0), noisy("rss"), outcome=Outcome.INCONCLUSIVE)
    found = fix(head)
    assert (found.status, found.problems) == (0, ())
    assert "job:work: rss was too noisy to judge; heap proves the fix" in found.notes
    assert not found.of_kind("unknown")


@pytest.mark.parametrize(
    "head",
    [
        judged(heap(detectable=200.0), noisy("rss"), outcome=Outcome.INCONCLUSIVE),
        judged(heap(detectable=8.0), noisy("fds"), outcome=Outcome.INCONCLUSIVE),
        judged(heap(detectable=8.0), noisy("rss", Cause.TOO_FEW), outcome=Outcome.INCONCLUSIVE),
        judged(heap(detectable=8.0), noisy("rss"), outcome=Outcome.INCONCLUSIVE, reason="it died"),
        judged(noisy("heap"), noisy("rss"), outcome=Outcome.INCONCLUSIVE),
    ],
    ids=["weak proof", "another kind", "too few readings", "a run that died", "no proof"],
)
def test_what_a_fix_does_not_cover_stays_open(head: RunResult) -> None:
    assert fix(head).status == 2


def test_a_leak_that_is_seen_in_some_runs_only_is_not_fixed() -> None:
    again = profile([FIXED, FIXED, judged(heap(800.0), outcome=Outcome.GROWING)])
    found = compare([profile([LEAKY])], [again], MEMORY)
    assert found.status == 2
    assert "it still grew in some of HEAD's runs only" in render(found, "console")


def test_a_new_leak_is_compared_with_its_line() -> None:
    found = fix(LEAKY, FIXED)
    assert found.status == 1
    assert "it grows, and did not before; at shop.py:7 order" in render(found, "markdown")
    assert render(found, "annotations").startswith("::error file=shop.py,line=7,")

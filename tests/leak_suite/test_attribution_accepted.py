"""Accepted leaks, from the options to the outcome: real runs of a vendor's leak beside our own."""

from __future__ import annotations

import textwrap
from datetime import date
from pathlib import Path

import pytest

from leak_suite.checks import check
from leak_suite.known_leaks import KNOWN_LEAKS, KnownLeak
from leak_suite.options import Accepted, Options
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import CallableSpec


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    (tmp_path / "vendor.py").write_text(
        "GRABBED = []\ndef grab():\n    GRABBED.append(bytes(3000))\n"
    )
    path = tmp_path / "jobs.py"
    path.write_text(
        textwrap.dedent(
            """
            import vendor
            KEPT = []

            def job():
                vendor.grab()

            def leaks_too():
                vendor.grab()
                KEPT.append(bytes(2000))
            """
        )
    )
    return path


def judged(path: Path, name: str, **entry: object) -> RunResult:
    """The run with the vendor's leak accepted."""
    accepted = Accepted("*/vendor.py:*", "vendor issue 12", **entry)  # type: ignore[arg-type]
    return check(CallableSpec(f"{path}:{name}"), Options(max_seconds=20, accepted=(accepted,)))


def test_growth_from_an_accepted_leak_is_stable_and_says_why(vendor: Path) -> None:
    result = judged(vendor, "job", expires=date(2999, 12, 31))
    assert result.outcome is Outcome.STABLE
    heap = result.finding("heap")
    assert heap.outcome is Outcome.STABLE
    assert heap.cause_text.startswith("accepted: vendor issue 12 until 2999-12-31")
    assert heap.sites[0].line == 3
    assert heap.rate == pytest.approx(3000, rel=0.2)


def test_an_expired_acceptance_fails_the_run_and_says_so(vendor: Path) -> None:
    result = judged(vendor, "job", expires=date(2020, 1, 1))
    assert result.outcome is Outcome.GROWING
    assert "expired 2020-01-01" in result.finding("heap").reason


def test_a_leak_beside_an_accepted_one_still_fails_the_run(vendor: Path) -> None:
    result = judged(vendor, "leaks_too")
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.outcome is Outcome.GROWING
    assert {Path(site.file).name for site in heap.sites} == {"vendor.py", "jobs.py"}


@pytest.mark.parametrize(
    ("versions", "outcome"), [(("1",), Outcome.STABLE), (("0.9", "11"), Outcome.GROWING)]
)
def test_a_known_leak_counts_for_the_versions_that_leak_alone(
    versions: tuple[str, ...], outcome: Outcome, vendor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak = KnownLeak("memray-grab", ("no-such-package", "memray"), versions, "grabs", "seen", 4e3)
    monkeypatch.setitem(KNOWN_LEAKS, leak.name, leak)
    result = judged(vendor, "job", known=leak.name)
    assert result.outcome is outcome
    said = "memray-grab is known of version 0.9 or 11, and the subject has memray 1."
    assert (said in result.finding("heap").reason) is (outcome is Outcome.GROWING)

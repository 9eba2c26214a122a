"""Whether a run proves that leaks are gone: it would have seen a tenth of them, and did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leak_suite.result import Finding, Outcome, RunResult
from leak_suite.units import format_rate

__all__ = ["PROOF_SHARE", "unproved"]

PROOF_SHARE = 0.1
"""A leak is proved to be gone where so much of its rate would have been seen."""


def unproved(result: RunResult, leaks: Sequence[Mapping[str, float]]) -> str:
    """Why `result` does not prove that `leaks` are gone, one sentence a leak; empty where it does.

    A leak is the rates, per iteration, by the metrics that showed it. It is there as long as one of
    them grows. It is gone where one of them was judged, did not grow, and would have shown a tenth
    of its rate; the others may have been too noisy to judge.
    """
    return " ".join(sentence for leak in leaks if (sentence := _unproved(result, leak)))


def _unproved(result: RunResult, leak: Mapping[str, float]) -> str:
    found = [finding for finding in result.findings if finding.metric in leak]
    growing = [finding for finding in found if finding.outcome.status == 1]
    if growing:
        first = min(growing, key=lambda one: not one.sites)
        at = f" at {first.sites[0].file}:{first.sites[0].line}" if first.sites else ""
        return f"{first.metric} still grows{at}: {first.reason}"
    if any(_proves(finding, leak[finding.metric]) for finding in found):
        return ""
    judged = [finding for finding in found if finding.outcome is Outcome.STABLE]
    if not judged:
        why = [finding.reason for finding in found if finding.reason]
        return f"none of {', '.join(leak)} could be judged: {' '.join([result.reason, *why])}"
    seen = [
        f"growth of {one.metric} below {format_rate(one.detectable_rate, one.unit) or 'any rate'} "
        f"would not have been seen, and it grew by {format_rate(leak[one.metric], one.unit)}"
        for one in judged
    ]
    return f"the run is too short to prove it: {'; '.join(seen)}."


def _proves(finding: Finding, rate: float) -> bool:
    smallest = finding.detectable_rate
    stable = finding.outcome is Outcome.STABLE
    return stable and smallest is not None and smallest <= PROOF_SHARE * rate

"""Whether growth is explained by leaks that the configuration accepts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.options import Accepted
from leak_suite.result import Finding, Site

__all__ = ["Acceptance", "explain"]

LEAST_SHARE = 0.05
"""Growth that no entry covers may be this share of all, before the finding stands."""


@dataclass(frozen=True)
class Acceptance:
    """`explained`: nothing of note is left once the accepted sites are taken away."""

    explained: bool
    clauses: tuple[Clause, ...] = ()


def explain(finding: Finding, accepted: Iterable[Accepted], today: date) -> Acceptance:
    """Whether every site that matters in `finding` is an accepted leak on that day.

    Sites are taken with their whole stack, so a pattern may name the library or the caller. A
    finding without sites is never explained: what is not known cannot be accepted.
    """
    entries = tuple(accepted)
    clauses: list[Clause] = []
    left = 0.0
    for site in finding.sites:
        rate = site.per_iteration or 0.0
        frames = tuple(map(str, (site.place, *site.stack)))
        entry = next((item for item in entries if item.covers(frames, rate, today)), None)
        if entry is not None:
            until = f" until {entry.expires}" if entry.expires is not None else ""
            text = f"{entry.reason}{until} ({_name(site)})"
            clauses.append(Clause(ClauseKind.ACCEPTED, text=text))
            continue
        left += rate
        clauses += [
            Clause(ClauseKind.NOT_ACCEPTED, text=text)
            for text in _refusals(site, frames, entries, today)
        ]
    total = sum(site.per_iteration or 0.0 for site in finding.sites)
    explained = bool(finding.sites) and total > 0 and left <= LEAST_SHARE * total
    return Acceptance(explained, tuple(dict.fromkeys(clauses)))


def _refusals(
    site: Site, frames: Iterable[str], entries: Iterable[Accepted], today: date
) -> list[str]:
    """Why entries whose pattern fits did not cover the site."""
    words = []
    for entry in entries:
        unbounded = Accepted(entry.pattern, entry.reason)
        if not unbounded.covers(frames, None, today):
            continue
        if entry.expires is not None and today > entry.expires:
            words.append(
                f"the acceptance of {_name(site)} ({entry.reason}) expired {entry.expires}"
            )
        else:
            words.append(
                f"{_name(site)} grows by {site.per_iteration or 0.0:.4g} per iteration, above the "
                f"{entry.max_per_iteration or 0.0:.4g} that is accepted ({entry.reason})"
            )
    return words


def _name(site: Site) -> str:
    return f"{site.file}:{site.line}"

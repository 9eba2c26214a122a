"""What every renderer says alike: the headline, the order of findings, sites, blind spots."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from leak_suite.clauses import ClauseKind
from leak_suite.fit.result import FitResult
from leak_suite.metrics import METRICS, priority
from leak_suite.places import Place
from leak_suite.render.fit import FIT_WORDS
from leak_suite.result import Cause, Finding, Outcome, RunResult, Site
from leak_suite.result_file import Result
from leak_suite.units import display_unit, format_number, format_rate, format_value

__all__ = [
    "OUTPUT_TITLE",
    "WORST_FIRST",
    "agents_sentence",
    "also_growing",
    "callers",
    "cause_lines",
    "failed_steps",
    "failure_message",
    "format_growth",
    "format_min_detectable",
    "format_site",
    "format_site_growth",
    "format_site_note",
    "grouped_by_cause",
    "headline",
    "in_process",
    "is_memory",
    "not_observed",
    "notes",
    "outcome_name",
    "sorted_findings",
    "verdict_sentence",
]

_RARE = 0.2  # a count that grows more slowly is easier to read as one in so many iterations
_MUCH_MORE = 4  # times the rate of the first finding: then that one is not what memory grows by
_SITES = 3
_ROUTES = 8
_FRAMES = 4
_WIDTH = 80
_WHOLE = 0.995  # a share of this much is all of the growth
WORST_FIRST = (Outcome.GROWING, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.STABLE)


def format_growth(finding: Finding) -> str:
    """The growth per iteration with its interval in the same unit: `1.02 KiB [1.01, 1.03]`."""
    if finding.rate is None:
        return "?" if finding.outcome is Outcome.INCONCLUSIVE else ""
    text = format_value(finding.rate, finding.unit)
    if finding.interval is None:
        return text
    size, _ = display_unit(finding.rate, finding.unit)
    low, high = (format_number(end / size) for end in finding.interval)
    return f"{text} [{low}, {high}]"


def format_site(site: Site) -> str:
    """Where a site is: `app.py:12 handler`; only the function where the file is not known."""
    return str(site.place) if site.file else site.function


def format_site_note(site: Site) -> str:
    """What else is known of a site, in one line; empty if nothing is."""
    jump = "grew in one of two windows only: perhaps one jump" if site.is_jump else ""
    return "; ".join(part for part in (site.note, jump) if part)


def callers(site: Site) -> list[Place]:
    """The frames of its stack without the site itself, innermost first."""
    return [place for place in site.stack if place != site.place]


def format_site_growth(site: Site, unit: str) -> str:
    """What a site grows by, and its part of the growth: `2 KiB per iteration, 80%`."""
    speed = format_rate(site.per_iteration, unit)
    if site.share is None or not 0 < site.share < _WHOLE:
        return speed
    return f"{speed}, {site.share:.0%}"


def in_process(finding: Finding) -> str:
    """Where a finding was judged, to follow its metric: ` in processes forked from gunicorn`."""
    if not finding.process:
        return ""
    if finding.process == "main process":
        return " in the main process"
    forked = finding.process.startswith("forked from ")
    return f" in processes {finding.process}" if forked else f" in {finding.process}"


def agents_sentence(result: RunResult) -> str:
    """In how many of the subject's Python processes the agent was, where that needs saying."""
    agents = result.agents
    if agents is None or (agents.connected, agents.processes) == (1, 1):
        return ""
    if not agents.processes:
        return "No process of this subject runs Python, so it was seen from outside only."
    of = "1 Python process" if agents.processes == 1 else f"{agents.processes} Python processes"
    text = f"The agent is in {agents.connected} of {of}"
    return f"{text}; not in {', '.join(agents.missing)}." if agents.missing else f"{text}."


def sorted_findings(result: RunResult) -> tuple[Finding, ...]:
    """The findings, worst outcome first; of each outcome those with a site, by priority."""

    def key(finding: Finding) -> tuple[int, bool, int]:
        return WORST_FIRST.index(finding.outcome), not finding.sites, priority(finding.metric)

    return tuple(sorted(result.findings, key=key))


def outcome_name(result: Result) -> str:
    """What the run's outcome is called: a service that fits is not called stable."""
    return FIT_WORDS[result.fits] if isinstance(result, FitResult) else result.outcome.value


def verdict_sentence(result: Result) -> str:
    """One sentence that says why the outcome is what it is, and why the run ended."""
    if isinstance(result, FitResult):
        return result.sentence
    found = [finding for finding in sorted_findings(result) if finding.outcome is result.outcome]
    if result.outcome is Outcome.INCONCLUSIVE and result.reason:
        unclear = [f"; {f.metric}: {f.cause_text}" for f in found if f.required and f.cause_text]
        return "; ".join([result.reason + "".join(unclear[:1]), *_from_outside(result)])
    if not found:
        return result.reason or "nothing was judged"
    parts = [_cause_sentence(found), result.reason, *_routes_left(result), *_from_outside(result)]
    return "; ".join(part for part in parts if part)


def _routes_left(result: RunResult) -> list[str]:
    """How many routes a verdict of stable says nothing about."""
    if result.outcome is not Outcome.STABLE:
        return []
    counts = (
        (len(result.details.not_called), "not called"),
        (len(result.details.refused), "answered with errors only"),
    )
    return [f"{count} route{'s' if count > 1 else ''} {what}" for count, what in counts if count]


def _from_outside(result: RunResult) -> list[str]:
    """Nothing was read inside where no process is one of Python."""
    without = result.agents is not None and not result.agents.processes
    return ["no process runs Python: seen from outside only"] if without else []


def _cause_sentence(found: Sequence[Finding]) -> str:
    """What the findings of a run's own outcome come to."""
    first = found[0]
    if first.outcome is Outcome.GROWING:
        speed = format_rate(first.rate, first.unit)
        by = f" by {speed}" if speed else ""
        return f"{first.metric} grows{by}{in_process(first)}{_resident_beside(found)}"
    if first.outcome is Outcome.STABLE:
        filling = next((f.containers for f in found if f.cause is Cause.FILLING), ())
        but = f", other than while {filling[0].holder} fills" if filling else ""
        return f"none of {len(found)} metrics grows{but}"
    return f"{first.metric}: {first.reason or first.cause_text or first.outcome.value}"


def _resident_beside(found: Sequence[Finding]) -> str:
    """What resident memory grows by, where the first finding shows only a small part of it.

    The C library's heap has the table of a list, and not the small objects that the list holds.
    """
    first = found[0]
    if not is_memory(first.metric) or first.rate is None:
        return ""
    for one in found[1:]:
        metric = METRICS.get(one.metric)
        if one.process == first.process and one.rate and metric is not None and metric.resident:
            small = first.unit != one.unit or one.rate > _MUCH_MORE * first.rate
            return f", {one.metric} by {format_value(one.rate, one.unit)}" if small else ""
    return ""


def format_min_detectable(finding: Finding) -> str:
    """The smallest growth per iteration that the run would have seen: `64 B`, `1 in 56,607`."""
    rate = finding.detectable_rate
    if rate is None:
        return ""
    if finding.unit != "bytes" and 0 < rate < _RARE:
        return f"1 in {round(1 / rate):,}"
    return format_value(rate, bytes_only(finding.unit))


def bytes_only(unit: str) -> str:
    """The unit for a table whose rows begin with the metric: its name says all but bytes."""
    return unit if unit == "bytes" else ""


def not_observed(result: RunResult) -> tuple[str, ...]:
    """Sentences on what this run could not have seen."""
    periods: dict[int, list[str]] = {}
    for finding in sorted_findings(result):
        if finding.longest_period is not None:
            periods.setdefault(finding.longest_period, []).append(finding.metric)
    sentences = [
        f"growth in jumps rarer than 1 in {period:,} iterations, of {', '.join(metrics)}"
        for period, metrics in periods.items()
    ]
    if any(finding.detectable_rate is not None for finding in result.findings):
        sentences.insert(0, 'growth per iteration below "min. detectable"')
    sentences += [f"{metric}: {why}" for metric, why in result.details.blind.items()]
    if names := result.details.not_observed:
        seen = str(result.environment.get("seen", ""))
        why = f" ({seen})" if seen.startswith("from outside only: ") else ""
        sentences.append(f"metrics that can be read from inside only{why}: {', '.join(names)}")
    return tuple(sentences)


def notes(result: RunResult) -> tuple[str, ...]:
    """Sentences for every form of report: what the verdict says nothing of, and what is missing."""
    sentences = []
    if routes := result.details.not_called:
        of_them = "of it" if len(routes) == 1 else "of them"
        sentences.append(
            f"Not called by this workload: {_listed(routes)}: this verdict says nothing {of_them}."
        )
    if routes := result.details.refused:
        sentences.append(f"Answered with errors only: {_listed(routes)}.")
    if why := _without_memray(result.findings):
        sentences.append(
            f"{why} where the subject runs, so tracemalloc traced it: memory outside Python's own "
            "allocators has no line. Install memray there."
        )
    return tuple(sentences)


def _without_memray(findings: Iterable[Finding]) -> str:
    clauses = [clause for finding in findings for clause in finding.clauses]
    if not any(c.kind is ClauseKind.SITES_BY and c.text == "tracemalloc" for c in clauses):
        return ""
    notes = " ".join(clause.text for clause in clauses if clause.kind is ClauseKind.SITES_NOTE)
    missing = "ModuleNotFoundError" in notes
    return "memray is missing" if missing else "memray could not be used"


def _listed(routes: Sequence[str]) -> str:
    rest = len(routes) - _ROUTES
    if rest <= 1:  # "and 1 more" takes the place of the one
        return ", ".join(routes)
    return f"{', '.join(routes[:_ROUTES])} and {rest} more"


OUTPUT_TITLE = "The subject wrote last"


def failed_steps(result: RunResult) -> tuple[str, ...]:
    """A sentence for each step after the verdict that failed; the verdict holds without it."""
    steps = (
        ("the search for the line failed", result.details.attribution_error),
        ("the flamegraphs failed", result.details.flamegraph_error),
    )
    return tuple(
        f"{step}: {' '.join(error.split())} (run with --debug for the traceback)"
        for step, error in steps
        if error
    )


def grouped_by_cause(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """The findings in groups of one cause: the same outcome, and the same first site or holder.

    Those are findings that grow, and those of a container that fills.

    A memory metric that grows without a site belongs to the first group with a memory metric,
    because one leak shows in all of them.
    """
    groups: list[list[Finding]] = []
    for finding in findings:
        group = next((one for one in groups if any(_one_cause(f, finding) for f in one)), None)
        if group is None:
            groups.append([finding])
        else:
            group.append(finding)
    return tuple(map(tuple, groups))


def _one_cause(one: Finding, other: Finding) -> bool:
    fill = one.cause is Cause.FILLING and other.cause is Cause.FILLING
    if one.outcome is not other.outcome or not (fill or one.outcome is Outcome.GROWING):
        return False
    if not one.sites or not other.sites:
        return one.process == other.process and all(is_memory(f.metric) for f in (one, other))
    first, second = one.sites[0], other.sites[0]
    same_holder = bool(first.holder) and first.holder == second.holder
    return same_holder or format_site(first) == format_site(second)


def is_memory(name: str) -> bool:
    """Whether the metric of this name reads memory that is live or resident."""
    metric = METRICS.get(name)
    return metric is not None and (metric.live or metric.resident)


def also_growing(others: Iterable[Finding]) -> list[str]:
    """A line for each further metric of a cause."""
    return [
        f"also {_doing(one)}: {one.metric}  {format_rate(one.rate, one.unit)}".rstrip()
        for one in others
    ]


def _doing(finding: Finding) -> str:
    return str(finding.cause if finding.cause is Cause.FILLING else finding.outcome.value)


def cause_lines(result: RunResult) -> tuple[str, ...]:
    """One line for each cause of the outcome: the site, the growth, and the metrics that show it.

    A run without a finding of its outcome has one line with the reason.
    """
    decisive = [f for f in sorted_findings(result) if f.outcome is result.outcome]
    if result.outcome.status != 1 or not decisive:
        return (verdict_sentence(result),)
    return tuple(_cause_line(group) for group in grouped_by_cause(decisive))


def _cause_line(group: Sequence[Finding]) -> str:
    first, *others = group
    site = f"{format_site(first.sites[0])}: " if first.sites else ""
    also = f" (also {', '.join(other.metric for other in others)})" if others else ""
    return f"{site}{_cause_sentence(group)}{also}"


def headline(result: Result) -> str:
    """The outcome and its reason in one line."""
    return f"{outcome_name(result).upper()}: {verdict_sentence(result)}"


def failure_message(result: RunResult) -> str:
    """The headline; the sites and reason of the first finding; a line for each other finding."""
    lines = [headline(result)]
    found = [f for f in sorted_findings(result) if f.outcome is not Outcome.STABLE]
    if found:
        first, *others = found
        lines += _site_block(first)
        if first.reason and first.reason not in lines[0]:
            lines += textwrap.wrap(first.reason, _WIDTH)
        for other in others:
            if other.outcome is Outcome.INCONCLUSIVE and first.outcome is not Outcome.INCONCLUSIVE:
                break  # the test failed for what grows, not for what could not be judged
            speed = format_rate(other.rate, other.unit)
            lines.append(f"{other.outcome.value}: {other.metric}  {speed}".rstrip())
            if other.sites and (not first.sites or _first_site(other) != _first_site(first)):
                lines += _site_block(replace(other, sites=other.sites[:1]))
    if result.details.subject_output:
        lines += [OUTPUT_TITLE + ":", *result.details.subject_output.splitlines()]
    lines += [*failed_steps(result), *notes(result)]
    return "\n".join(lines)


def _first_site(finding: Finding) -> str:
    return format_site(finding.sites[0])


def _site_block(finding: Finding) -> list[str]:
    lines = []
    for site in finding.sites[:_SITES]:
        speed = format_site_growth(site, finding.unit)
        lines.append(f"  {format_site(site)}  {speed}".rstrip())
        below = [format_site_note(site), *map(str, callers(site)[:_FRAMES])]
        lines += [f"    {line}" for line in below if line]
    return lines

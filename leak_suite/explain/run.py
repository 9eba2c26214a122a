"""Explains one subject: its verdict first, then what its memory is made of."""

from __future__ import annotations

from collections.abc import Callable

from leak_suite.checks import check
from leak_suite.clauses import Part
from leak_suite.environment import environment
from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.explain.advice import remedy
from leak_suite.explain.observe import observe
from leak_suite.explain.pace import grows_with
from leak_suite.explain.result import Explanation, GrowthDriver, RemedyTrial, Word
from leak_suite.explain.trials import best_of, try_remedies
from leak_suite.explain.word import answer
from leak_suite.options import Options
from leak_suite.result import Cause, Finding, Outcome, RunResult
from leak_suite.subject import Extras, PidSpec, Spec, UrlSpec
from leak_suite.units import MIB

__all__ = ["explain"]

_SHARE, _LEAST_SECONDS, _MOST_SECONDS = 0.25, 2.0, 8.0
"""The look at what memory is made of takes this share of the time given, within these bounds."""
_MOST_GROWTH = 256.0 * MIB
"""What grows by so much has shown what it is made of."""


def explain(
    spec: Spec,
    options: Options,
    *,
    with_trials: bool = False,
    on_progress: Callable[[object], None] = lambda _: None,
) -> Explanation:
    """What the memory of the subject of `spec` is made of, which part grows, and what helps.

    `with_trials` tries the remedies too, each in a fresh subject.

    Raises:
        ConfigurationError: nothing of the subject but a number can be seen.
        SubjectError: it cannot be started.
    """
    if isinstance(spec, UrlSpec):
        raise ConfigurationError("a URL shows numbers only: explain needs the process itself")
    if with_trials and isinstance(spec, PidSpec):
        raise ConfigurationError(
            "--try-remedies starts the program anew under each: give the command after --"
        )
    seconds = min(_MOST_SECONDS, max(_LEAST_SECONDS, _SHARE * options.max_seconds))
    verdict = check(spec, options, on_progress=on_progress)
    seen = observe(
        spec,
        seconds,
        max_growth=min(float(options.max_growth_bytes), _MOST_GROWTH),
        extras=Extras(undisturbed=True),
        may_make_group=not isinstance(spec, PidSpec),
        on_progress=on_progress,
    )
    found = answer(verdict, seen.readings)
    trials: tuple[RemedyTrial, ...] = ()
    if with_trials:
        python = str(verdict.environment.get("python", ""))
        trials = try_remedies(
            spec, seen, seconds, python, max_growth=_MOST_GROWTH, on_progress=on_progress
        )
    best = best_of(trials)
    growth, problem = _growth(spec, verdict, found.word)
    line = _line(verdict)
    helps, lines = remedy(found, line)
    notes = [*seen.notes, *(text for text in (seen.error, problem) if text)]
    if seen.group.error:
        notes.append(f"page cache and kernel memory: {seen.group.error}")
    elif not seen.group.own:
        notes.append(
            "page cache and kernel memory are those of the whole control group that the subject is "
            "in: other programs may have caused them"
        )
    return Explanation(
        subject=str(spec),
        environment=verdict.environment or environment({}),
        word=found.word,
        why=found.why,
        verdict=_headline(verdict),
        line=line,
        remedy=helps,
        remedy_lines=lines,
        readings=seen.readings,
        group=seen.group,
        notes=tuple(notes),
        over_budget=verdict.outcome is Outcome.OVER_BUDGET,
        trials=trials,
        best="" if best is None else best.name,
        growth=growth,
    )


def _growth(spec: Spec, verdict: RunResult, word: Word) -> tuple[GrowthDriver | None, str]:
    """(what a leak goes with, why that could not be watched)."""
    if word is not Word.LEAK or spec.is_watched:
        return None, ""
    try:
        with spec.open() as subject:
            return grows_with(subject, verdict.findings), ""
    except SubjectError as error:
        return None, f"whether it grows with work or time could not be watched: {error}"


def _headline(verdict: RunResult) -> str:
    worst = [f for f in verdict.findings if f.outcome is verdict.outcome]
    reason = worst[0].reason_of(Part.VERDICT) if worst else ""
    return f"{verdict.outcome.value}: {reason or verdict.reason or 'nothing was judged'}"


def _line(verdict: RunResult) -> str:
    """The first place that a finding of growth, or of filling, came from."""

    def is_meant(finding: Finding) -> bool:
        return finding.outcome is Outcome.GROWING or finding.cause is Cause.FILLING

    for finding in verdict.findings:
        for site in finding.sites if is_meant(finding) else ():
            return f"{site.file}:{site.line}" if site.file else site.function
    return ""

"""Tries remedies: the same workload under each, in a fresh subject, against none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from leak_suite.errors import LeakSuiteError
from leak_suite.explain.observe import Observation, observe
from leak_suite.explain.remedies import REMEDIES, Remedy
from leak_suite.explain.result import MemoryReading, RemedyTrial
from leak_suite.subject import Extras, Spec
from leak_suite.units import MIB

__all__ = ["best_of", "judge_trial", "try_remedies"]

NONE = "none"
_OWN_ALLOCATOR = "the subject did not take it up"
_SAVES, _LEAST_SAVED = 0.5, 8.0 * MIB
"""A remedy works if it leaves no more than this share of the growth, and saves so many bytes."""
_RISING = 0.2
"""Growth goes on if the second half of a trial brought this share of it."""
_AS_GOOD = 0.8
"""An earlier remedy of the list is taken if it saves this share of what the best one saves."""
_SLOW = 0.8
"""A remedy that takes the pace below this share of that without any is not preferred."""


def try_remedies(
    spec: Spec,
    base: Observation,
    seconds: float,
    python: str,
    *,
    max_growth: float,
    remedies: Sequence[Remedy] = REMEDIES,
    on_progress: Callable[[str], None] = lambda _: None,
) -> tuple[RemedyTrial, ...]:
    """A trial of none, as it was observed, and of each remedy; those that cannot be tried say why.

    `python` is the version that the subject runs on.
    """
    forks = any(reading.copies for reading in base.readings)
    trials = [_trial(NONE, base.readings)]
    for remedy in remedies:
        why = remedy.unavailable(python, forks=forks)
        if why:
            trials.append(RemedyTrial(remedy.name, not_tried=why))
            continue
        on_progress(f"trying {remedy.name}")
        extras = Extras(undisturbed=True, environment=remedy.variables())
        try:
            seen = observe(spec, seconds, max_growth=max_growth, extras=extras)
        except LeakSuiteError as error:
            trials.append(RemedyTrial(remedy.name, failed=_first_line(error)))
            continue
        trials.append(judge_trial(remedy, seen, base))
    return tuple(trials)


def judge_trial(remedy: Remedy, seen: Observation, base: Observation) -> RemedyTrial:
    """What was seen under the remedy, and whether it works, against what was seen under none."""
    if seen.error and not base.error:
        return RemedyTrial(remedy.name, failed=seen.error)
    if remedy.preload is not None and not seen.foreign_allocator:
        return RemedyTrial(remedy.name, failed=_OWN_ALLOCATOR)
    trial, none = _trial(remedy.name, seen.readings), _trial(NONE, base.readings)
    return replace(trial, works=_works(trial, none))


def _trial(name: str, readings: Sequence[MemoryReading]) -> RemedyTrial:
    first, middle, last = readings[0], readings[len(readings) // 2], readings[-1]
    done = last.iterations - middle.iterations
    return RemedyTrial(
        name,
        growth=last.of_processes - first.of_processes,
        slope=(last.of_processes - middle.of_processes) / done if done else None,
        late_growth=last.of_processes - middle.of_processes,
        level=last.of_processes,
        peak=max(max(one.of_processes, one.peak) for one in readings),
        per_second=last.iterations / last.seconds if last.seconds else None,
    )


def _works(trial: RemedyTrial, none: RemedyTrial) -> bool:
    """Whether it ends growth that goes on, or saves the most of what was taken once."""
    if trial.growth is None or none.growth is None or none.growth < _LEAST_SAVED:
        return False
    if none.slope and (none.late_growth or 0.0) >= max(_RISING * none.growth, _LEAST_SAVED / 2):
        return (trial.slope or 0.0) <= _SAVES * none.slope
    saved = none.growth - trial.growth
    return trial.growth <= _SAVES * none.growth and saved >= _LEAST_SAVED


def best_of(trials: Sequence[RemedyTrial]) -> RemedyTrial | None:
    """The one to take: of those that work the first that saves about as much as any.

    Slow ones are taken only where no other works. None where none works.
    """
    works = [one for one in trials if one.works]
    none = next((one for one in trials if one.name == NONE), None)
    pace = _SLOW * (none.per_second or 0.0) if none is not None else 0.0
    works = [one for one in works if (one.per_second or 0.0) >= pace] or works
    saved = {one.name: _saved(one, none) for one in works}
    most = max(saved.values(), default=0.0)
    return next((one for one in works if saved[one.name] >= _AS_GOOD * most), None)


def _saved(trial: RemedyTrial, none: RemedyTrial | None) -> float:
    return 0.0 if none is None else (none.level or 0.0) - (trial.level or 0.0)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Base against head: a change counts if repeats do not explain it and it is large enough. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from leak_suite.compare.profile import MEASURES, Growth, Level, Profile, environment_difference
from leak_suite.compare.proof import PROOF_SHARE
from leak_suite.places import Place
from leak_suite.result import Outcome

__all__ = ["Change", "Comparison", "MinRate", "compare", "smallest_change"]

Kind = Literal["regression", "improvement", "unchanged", "unknown"]

KIB = 1024
_SHARE = 0.03
_MATTERS = {"bytes": (256 * KIB, 768 * KIB), "blocks": (500, 8000)}
"""A change matters from 3% of the level on, but never below the first nor above the second."""
_MATTERS_ELSE = (1.0, math.inf)
_LEAST_NOISE = {"bytes": 32 * KIB, "blocks": 60}
"""Runs differ by some pages and blocks, though few repeats may happen to agree to the byte."""
_NOISE_SHARE = 0.001
_WITHIN_TO_BETWEEN = 2.0
"""Runs differ by about so many times what readings within one do."""
_ASSUMED_RUNS = 4
"""The assumed noise counts as much as so many repeats."""
_RATE_SHARE = 0.1
"""A leak that was there before is worse once it grows by so much of itself faster."""
_RATE_ERRORS = 4.0

# Student's t, one-sided, 1 in 1000: by degrees of freedom. From any table of the distribution.
_T_1_IN_1000 = {4: 7.173, 5: 5.893, 6: 5.208, 7: 4.785, 8: 4.501, 9: 4.297, 10: 4.144, 12: 3.930,
                15: 3.733, 20: 3.552, 30: 3.385, 60: 3.232}  # fmt: skip


@dataclass(frozen=True)
class MinRate:
    """Growth per iteration below which a metric's growth does not matter; `exact` ones are counted.

    One leak shows in all metrics of `memory`. The probes have these facts; judging what changed
    does not know the probes.
    """

    rate: float
    exact: bool = False
    memory: bool = False


@dataclass(frozen=True)
class Change:
    """One measure of one workload. `min_detectable`: the smallest change that would count.

    `would_see` is of growth that is gone: the share of the old rate that HEAD would have seen, 0.1
    for a tenth. `site` is where growth of HEAD comes from, or where growth that is gone came from.
    `growth_of` is the metric whose growth is compared, empty where `measure` is a level.
    """

    workload: str
    measure: str
    unit: str
    base: float | None
    head: float | None
    kind: Kind
    min_detectable: float | None = None
    reason: str = ""
    would_see: float | None = None
    site: Place | None = None
    growth_of: str = ""

    @property
    def difference(self) -> float | None:
        """Head less base; None where one of them is not known."""
        return None if self.base is None or self.head is None else self.head - self.base


@dataclass(frozen=True)
class Comparison:
    """All changes; `problems` say what could not be compared, `notes` are remarks.

    `commands` are those of HEAD's runs, by workload.
    """

    changes: tuple[Change, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """The comparison as JSON: its fields, and `status`."""
        data = {**asdict(self), "status": self.status}
        for change, written in zip(self.changes, data["changes"], strict=True):
            written["site"] = "" if change.site is None else str(change.site)
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def of_kind(self, kind: Kind) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)

    @property
    def status(self) -> int:
        """1 with a regression, else 2 where anything could not be compared, else 0."""
        if self.of_kind("regression"):
            return 1
        return 2 if self.problems or self.of_kind("unknown") or not self.changes else 0


def compare(
    base: Sequence[Profile], head: Sequence[Profile], min_rates: Mapping[str, MinRate] | None = None
) -> Comparison:
    """Workload by workload, by name; two that stand alone are taken as the same one.

    `min_rates` are by metric; a metric without one has its growth compared by significance only.
    """
    old, new = ({one.subject: one for one in side} for side in (base, head))
    notes: list[str] = []
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        (before,), (after,) = old, new
        notes.append(f"{before} is compared with {after}")
        old = {after: old[before]}
    notes += [f"{name} is new: there is nothing to compare it with" for name in new.keys() - old]
    problems = [f"{name} is missing: HEAD has no run of it" for name in old.keys() - new]
    changes: list[Change] = []
    for name in sorted(old.keys() & new.keys()):
        if what := environment_difference(old[name].environment, new[name].environment):
            problems.append(f"{name}: BASE and HEAD are of different {what}; run both on one")
            continue
        found = _of_workload(name, old[name], new[name], min_rates or {})
        sides = (("BASE", old[name]), ("HEAD", new[name]))
        problems += [f"{name}: {side}: {one.unclear}" for side, one in sides if one.unclear]
        found, more, open_questions = _undecided(name, found, new[name], min_rates or {})
        changes += found
        notes += [*more, *_small_print(name, old[name], new[name])]
        problems += open_questions
        if old[name].undecided:
            problems.append(f"{name}: BASE: too noisy to judge: {', '.join(old[name].undecided)}")
    if not old or not new:
        problems.append(f"{'HEAD' if old else 'BASE'} has no runs that could be compared")
    commands = {one.subject: one.command for one in head if one.command}
    return Comparison(tuple(changes), tuple(sorted(problems)), tuple(sorted(notes)), commands)


def _undecided(
    name: str, changes: list[Change], new: Profile, min_rates: Mapping[str, MinRate]
) -> tuple[list[Change], list[str], list[str]]:
    """(changes, notes, problems) in the light of metrics of HEAD that were too noisy to judge.

    A leak that is proved to be gone by one metric of memory leaves nothing for another of them to
    decide, so that what this one could not judge is a note.
    """
    if not new.undecided:
        return changes, [], []
    proved = [
        metric
        for change in changes
        if change.kind == "improvement" and change.would_see is not None
        if change.would_see <= PROOF_SHARE
        if min_rates.get(metric := change.growth_of, MinRate(0.0)).memory
    ]
    covered = {
        metric for metric in new.undecided if proved and min_rates.get(metric, MinRate(0.0)).memory
    }
    notes = [
        f"{name}: {metric} was too noisy to judge; {proved[0]} proves the fix"
        for metric in new.undecided
        if metric in covered
    ]
    still_open = [metric for metric in new.undecided if metric not in covered]
    problems = [f"{name}: HEAD: too noisy to judge: {', '.join(still_open)}"] if still_open else []
    kept = [c for c in changes if c.kind != "unknown" or c.growth_of not in covered]
    return kept, notes, problems


def _small_print(name: str, old: Profile, new: Profile) -> list[str]:
    notes = []
    for key in ("python", "libc"):
        one, other = old.environment.get(key), new.environment.get(key)
        if one != other:
            notes.append(f"{name}: {key} was {one} and is {other}")
    if min(old.runs, new.runs) == 1:
        notes.append(f"{name}: a side has one run only; three of each see smaller changes")
    return notes


def _of_workload(
    name: str, old: Profile, new: Profile, min_rates: Mapping[str, MinRate]
) -> list[Change]:
    changes = []
    for measure in (one.name for one in MEASURES):
        before, after = old.levels.get(measure), new.levels.get(measure)
        if before is not None:
            changes.append(_level_change(name, measure, before, after))
    for metric in dict.fromkeys((*old.growth, *new.growth)):
        one, other = old.growth.get(metric), new.growth.get(metric)
        change = _growth_change(name, metric, one, other, min_rates.get(metric, MinRate(0.0)))
        if change is not None:
            changes.append(change)
    return changes


def smallest_change(unit: str, level: float) -> float:
    """The smallest change of a level that matters, in its unit."""
    low, high = _MATTERS.get(unit, _MATTERS_ELSE)
    return min(max(low, _SHARE * abs(level)), high)


def _level_change(name: str, measure: str, before: Level, after: Level | None) -> Change:
    if after is None:
        return Change(
            name, measure, before.unit, before.value, None, "unknown",
            reason="BASE has it, HEAD could not read it",
        )  # fmt: skip
    error, freedom = _noise(before, after)
    significant = _quantile(freedom) * error
    threshold = max(significant, smallest_change(before.unit, before.value))
    gained = after.value - before.value
    kind: Kind = "unchanged"
    if abs(gained) >= threshold:
        kind = "regression" if gained > 0 else "improvement"
    return Change(name, measure, before.unit, before.value, after.value, kind, threshold)


def _noise(before: Level, after: Level) -> tuple[float, int]:
    """The standard error of the difference, and its degrees of freedom.

    Spread between few repeats is itself uncertain, and may by chance be none. So it is joined with
    what is assumed of any run: the noise of its own series, a share of the level, a few pages.
    """
    assumed = max(
        _WITHIN_TO_BETWEEN * max(before.noise, after.noise),
        _NOISE_SHARE * abs(before.value),
        _LEAST_NOISE.get(before.unit, 0.5),
    )
    squares, freedom = _ASSUMED_RUNS * assumed**2, _ASSUMED_RUNS
    for level in (before, after):
        if level.spread is not None:
            squares += (level.runs - 1) * level.spread**2
            freedom += level.runs - 1
    return math.sqrt(squares / freedom * (1 / before.runs + 1 / after.runs)), freedom


def _quantile(freedom: int) -> float:
    return _T_1_IN_1000[max(known for known in _T_1_IN_1000 if known <= freedom)]


def _growth_change(
    name: str, metric: str, before: Growth | None, after: Growth | None, min_rate: MinRate
) -> Change | None:
    """Whether growth changed; the verdicts of both sides say what grows.

    None if it never grew, or if BASE did not measure it.
    """
    measure = f"growth of {metric}"
    grew, grows = (one is not None and one.outcome is Outcome.GROWING for one in (before, after))
    if after is None:
        if not grew or before is None:
            return None
        return Change(name, measure, before.unit, before.rate, None, "unknown", growth_of=metric,
                      reason="it grew in BASE, and HEAD could not judge it")  # fmt: skip
    if after.outcome is Outcome.INCONCLUSIVE:
        again = "it still grew" if grew else "it grew"
        base = before.rate if grew and before is not None else 0.0
        return Change(name, measure, after.unit, base, None, "unknown", growth_of=metric,
                      reason=f"{again} in some of HEAD's runs only; make more of them")  # fmt: skip
    if not grew and not grows:
        return Change(name, measure, after.unit, 0.0, 0.0, "unchanged", min_rate.rate or None,
                      growth_of=metric)  # fmt: skip
    old_rate = before.rate if grew and before is not None else 0.0
    new_rate = after.rate if grows else 0.0
    kind, min_detectable, reason = _faster(before, after, grew, grows, min_rate)
    would_see = None
    if grew and not grows and old_rate and after.detectable_rate is not None:
        would_see = after.detectable_rate / old_rate
        if would_see > 1:
            kind, reason = "unknown", "it grew, and HEAD's runs are too short to see that again"
    site = after.site if grows or before is None else before.site
    return Change(
        name,
        measure,
        after.unit,
        old_rate,
        new_rate,
        kind,
        min_detectable,
        reason,
        would_see,
        site,
        growth_of=metric,
    )


def _faster(
    before: Growth | None, after: Growth, grew: bool, grows: bool, min_rate: MinRate
) -> tuple[Kind, float | None, str]:
    if grows and not grew:
        return "regression", min_rate.rate or None, "it grows, and did not before"
    if grew and not grows:
        return "improvement", min_rate.rate or None, "it grew, and no longer does"
    assert before is not None
    if before.rate is None or after.rate is None:
        return "unchanged", None, "it grows as before, by an unknown rate"
    error = _RATE_ERRORS * math.hypot(before.error, after.error)
    matters = max(error, _RATE_SHARE * abs(before.rate), 0.0 if min_rate.exact else min_rate.rate)
    gained = after.rate - before.rate
    if abs(gained) < matters or gained == 0:
        return "unchanged", matters, "it grows as before"
    if gained > 0:
        return "regression", matters, "it grows faster"
    return "improvement", matters, "it grows more slowly"

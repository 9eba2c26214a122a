"""All the series of one run: who is blind, who rings, who is still waited for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.metrics import METRICS
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict.judge import follow, judge
from leak_suite.verdict.policy import needed_for_growth
from leak_suite.verdict.ramp import Look, look_at, ramp_in, still_rises
from leak_suite.verdict.tolerance import RESIDENT, Tolerance

__all__ = ["LIVE", "Run"]

LIVE = tuple(name for name, metric in METRICS.items() if metric.live)
_KEPT = 8 * 1024.0**2  # with live memory flat, less resident growth than this is the kernel's noise
_STRAIGHT = 0.02  # spread around the line, as a share of the growth, of memory mapped call by call
_PAGE = 4096.0

Found = Mapping[str, Finding | None]


@dataclass(frozen=True)
class Run:
    """The series by metric, with what they may do, and the seconds that the workload has run."""

    series: Mapping[str, Series]
    tolerances: Mapping[str, Tolerance]
    seconds: float
    budgets: Mapping[str, float]

    def metrics(self) -> tuple[str, ...]:
        """What is judged: whatever has a tolerance or a budget; a budget without a series too."""
        measured = [m for m in self.series if m in self.tolerances or m in self.budgets]
        return (*measured, *(m for m in self.budgets if m not in self.series))

    @cached_property
    def sees_live(self) -> bool:
        """Whether live memory is known, so that resident memory is only a second opinion."""
        return any(name in self.series and not self.is_blind(name) for name in ("heap", "blocks"))

    @cached_property
    def _looks(self) -> dict[str, Look]:
        return {
            name: look_at(self.series[name], self._tolerance(name), final=False, seconds=0.0)
            for name in self.metrics()
            if name in self.series and name in self.tolerances and name != "peak"
        }

    @cached_property
    def _ramps(self) -> dict[str, bool]:
        return {
            name: look.length > 0 and ramp_in(look) is not None
            for name, look in self._looks.items()
        }

    def _tolerance(self, name: str) -> Tolerance:
        given = self.tolerances[name]
        if name not in RESIDENT or not self.sees_live:
            return given
        return replace(given, minimum_growth=max(given.minimum_growth or 0.0, _KEPT))

    def judge(self, name: str, *, final: bool) -> Finding | None:
        """The finding of one metric by itself."""
        if name not in self._looks:
            return self._peak_only(name)
        tolerance = self._tolerance(name)
        return judge(self.series[name], tolerance, final=final, seconds=self.seconds)

    def _peak_only(self, name: str) -> Finding:
        """A metric that has a budget and nothing else: only its highest value matters."""
        unit = self.series[name].unit if name in self.series else ""
        peak = self.peak(name)
        if peak is None:
            clauses = (Clause(ClauseKind.NOT_READ),)
            return Finding(name, unit, Outcome.INCONCLUSIVE, Cause.BLIND, clauses=clauses)
        return Finding(name, unit, Outcome.STABLE, peak=peak, clauses=(Clause(ClauseKind.READ),))

    def last_look(self, name: str, *, stopped_by: Sequence[str]) -> Finding:
        """The finding of a metric that was open when the run ended early, over `stopped_by`."""
        look = self._looks.get(name)
        if stopped_by and look is not None and (found := follow(look, stopped_by)) is not None:
            return found
        found = self.judge(name, final=True)
        assert found is not None  # a final look always answers
        if found.outcome is Outcome.INCONCLUSIVE and not self.is_blind(name) and stopped_by:
            clauses = (Clause(ClauseKind.STOPPED_EARLY, metrics=tuple(stopped_by)),)
            return replace(found, cause=Cause.STOPPED_EARLY, clauses=clauses, required=False)
        return found

    def is_blind(self, name: str) -> bool:
        """Whether nothing at all could be read."""
        return name not in self.series or not self.series[name].judged()

    def peak(self, name: str) -> float | None:
        """The highest value, warm-up included."""
        if name not in self.series:
            return None
        return max((v for _, v in self.series[name].samples if v is not None), default=None)

    def rise(self, name: str) -> float:
        """How far the series came up from its start, after warm-up."""
        values = [v for _, v in self.series[name].judged()] if name in self.series else []
        return max(values) - values[0] if values else 0.0

    def is_required(self, name: str) -> bool:
        """Whether the run cannot be judged without it, or something that covers for it."""
        return name not in self.tolerances or self.tolerances[name].required

    def eyes(self, name: str, found: Found) -> list[str]:
        """The metrics that see what this one should, and have been judged."""
        covers = self.tolerances[name].covered_by if name in self.tolerances else ()
        judged = ((other, found.get(other)) for other in covers)
        return [other for other, f in judged if f and f.outcome is not Outcome.INCONCLUSIVE]

    def is_only_shared(self, name: str, found: Found) -> bool:
        """Whether resident memory of the whole tree is stable, so that shares are all that move.

        Seen from outside, rss is over the tree as pss is, and pss is never above it. With an agent
        inside rss is of one process, and pss that grows may be a child.
        """
        if name != "pss" or self.sees_live or "rss" not in found:
            return False
        flat = [found[other] for other in ("rss", "rss_anon") if other in found]
        return all(f is not None and f.outcome is Outcome.STABLE for f in flat)

    def rings(self, name: str, found: Found) -> bool:
        """Whether this finding ends the run."""
        finding = found[name]
        peak = self.peak(name)
        if name in self.budgets and peak is not None and peak > self.budgets[name]:
            return True
        if finding is None or finding.outcome is not Outcome.GROWING:
            return False
        if self.is_only_shared(name, found):
            return False
        if name not in RESIDENT or not self.sees_live:
            return True
        return any(self._ramps.get(live) for live in LIVE) or self.is_mapped(name)

    def awaits(self, name: str, found: Found) -> bool:
        """Whether the run goes on for the sake of this metric."""
        finding = found[name]
        if self.is_only_shared(name, found):
            return False
        if finding is not None:
            held = name in RESIDENT and finding.outcome is Outcome.GROWING
            return held and not self.rings(name, found)
        if self.is_blind(name):
            return len(self.series[name].samples) - self.series[name].warm_up < 3
        if self._ramps.get(name, False) or self.creeps(name):
            return True
        if name in RESIDENT and self.sees_live:
            return False
        return self.is_required(name) or not self.eyes(name, found)

    def creeps(self, name: str) -> bool:
        """Whether resident memory rises to the end, though too unevenly to be a ramp."""
        return name in RESIDENT and name in self._looks and still_rises(self._looks[name])

    def is_mapped(self, name: str) -> bool:
        """Whether resident memory grows call by call, as straight as only mapping does it."""
        look = self._looks.get(name)
        ramp = ramp_in(look) if look is not None and look.length > 0 else None
        if ramp is None or ramp.growth <= 0:
            return False
        even = 0.9 <= ramp.second / ramp.first <= 1.1 if ramp.first > 0 else False
        straight = ramp.whole.spread <= _STRAIGHT * ramp.growth
        return even and straight and ramp.whole.rate >= _PAGE

    def next_round(self) -> int | None:
        """Iterations worth running before asking again; None where there is no opinion.

        Growth is let go on only by an eighth of what would settle the matter, and never for longer
        than the length that is asked for.
        """
        limits = [
            limit for name in self._looks if (limit := self._round_for(name, self._looks[name]))
        ]
        return max(1, math.floor(min(limits))) if limits else None

    def _round_for(self, name: str, look: Look) -> float | None:
        if look.length <= 0:
            return None
        (_, first), (_, last) = look.points[0], look.points[-1]
        rate = (last - first) / look.length
        if last - first < look.scale.minimum_growth or rate <= look.scale.floor:
            return None
        by_size = look.scale.implausible / 8 / rate
        needed = needed_for_growth(self.seconds)
        if not self._ramps[name] or needed is None or look.length >= needed:
            return by_size
        return min(by_size, needed - look.length)

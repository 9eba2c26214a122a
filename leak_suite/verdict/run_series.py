"""All the series of one run: which are blind, which end it, which need more rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.metrics import METRICS
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.exhaustion import grew_to_the_end
from leak_suite.verdict.judge import judge_prepared, judge_with_leaders
from leak_suite.verdict.policy import needed_for_growth
from leak_suite.verdict.ramp import PreparedSeries, prepare, rise_to_the_end
from leak_suite.verdict.tolerance import RESIDENT, Tolerance
from leak_suite.verdict.trend import Interval

__all__ = ["LIVE", "RunSeries"]

LIVE = tuple(name for name, metric in METRICS.items() if metric.live)

_MOST_BYTES = 512.0
"""Of a block of pymalloc."""

Found = Mapping[str, Finding | None]


@dataclass(frozen=True)
class RunSeries:
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
    def _prepared(self) -> dict[str, PreparedSeries]:
        return {
            name: prepare(
                self.series[name], self._tolerance(name), final=False, seconds=self.seconds
            )
            for name in self.metrics()
            if name in self.series and name in self.tolerances and name != "peak"
        }

    def _has_ramp(self, name: str) -> bool:
        return name in self._prepared and self._prepared[name].ramp is not None

    def _tolerance(self, name: str) -> Tolerance:
        given = self.tolerances[name]
        if name == "heap" and given.minimum_growth is None:
            threads = (self.peak("threads") or 1.0) - thresholds.USUAL_THREADS
            factor = min(max(1.0, threads), thresholds.MOST_THREADS)
            return replace(given, minimum_growth=factor * thresholds.BYTES_DEFAULTS[0])
        if name not in RESIDENT or not self.sees_live:
            return given
        return replace(
            given, minimum_growth=max(given.minimum_growth or 0.0, thresholds.RESIDENT_NOISE)
        )

    def judge(self, name: str, *, final: bool) -> Finding | None:
        """The finding of one metric by itself."""
        if name not in self._prepared:
            return self._peak_only(name)
        prepared = self._prepared[name]
        return judge_prepared(replace(prepared, final=True) if final else prepared)

    def _peak_only(self, name: str) -> Finding:
        """A metric that has a budget and nothing else: only its highest value matters."""
        unit = self.series[name].unit if name in self.series else ""
        peak = self.peak(name)
        if peak is None:
            clauses = (Clause(ClauseKind.NOT_READ),)
            return Finding(name, unit, Outcome.INCONCLUSIVE, Cause.BLIND, clauses=clauses)
        return Finding(name, unit, Outcome.STABLE, peak=peak, clauses=(Clause(ClauseKind.READ),))

    def final_finding(
        self, name: str, *, stopped_by: Sequence[str], exhausted: bool = False
    ) -> Finding:
        """The finding of an undecided metric when the run ends, early because of `stopped_by`.

        `exhausted` says that it ended early because something ran out.
        """
        prepared = self._prepared.get(name)
        if (
            stopped_by
            and prepared is not None
            and (found := judge_with_leaders(prepared, stopped_by)) is not None
        ):
            return found
        found = self.judge(name, final=True)
        assert found is not None  # a final one always answers
        if (exhausted or stopped_by) and found.outcome is Outcome.INCONCLUSIVE:
            found = self._grew_to_the_end(name) or found
        if found.outcome is Outcome.INCONCLUSIVE and not self.is_blind(name) and stopped_by:
            clauses = (Clause(ClauseKind.STOPPED_EARLY, metrics=tuple(stopped_by)),)
            return replace(found, cause=Cause.STOPPED_EARLY, clauses=clauses, required=False)
        return found

    def _grew_to_the_end(self, name: str) -> Finding | None:
        if name not in self.series or name not in self.tolerances:
            return None
        return grew_to_the_end(self.series[name], self.tolerances[name])

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

    def covering_metrics(self, name: str, found: Found) -> list[str]:
        """The metrics that see what this one should, and have been judged."""
        covers = self.tolerances[name].covering_metrics if name in self.tolerances else ()
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

    def ends_run(self, name: str, found: Found) -> bool:
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
        return self._is_explained_by_live(name) or self.is_mapped(name)

    def _is_explained_by_live(self, name: str) -> bool:
        """Whether live memory grows as well, by a good part of what resident memory does."""
        resident = self._prepared[name].ramp
        if resident is None:
            return any(self._has_ramp(live) for live in LIVE)
        least = thresholds.LIVE_SHARE * resident.growth
        ramps = ((live, self._prepared[live].ramp) for live in LIVE if live in self._prepared)
        return any(
            ramp is not None and ramp.growth * (1.0 if live == "heap" else _MOST_BYTES) >= least
            for live, ramp in ramps
        )

    def needs_more_rounds(self, name: str, found: Found) -> bool:
        """Whether the run goes on for the sake of this metric."""
        finding = found[name]
        if self.is_only_shared(name, found):
            return False
        if finding is not None:
            held = name in RESIDENT and finding.outcome is Outcome.GROWING
            return held and not self.ends_run(name, found)
        if self.is_blind(name):
            return (
                len(self.series[name].samples) - self.series[name].warm_up
                < thresholds.BLIND_READINGS
            )
        if self._has_ramp(name) or self.still_rising(name):
            return True
        if name in RESIDENT and self.sees_live:
            return False
        return self.is_required(name) or not self.covering_metrics(name, found)

    def still_rising(self, name: str) -> bool:
        """Whether resident memory rises to the end, though too unevenly to be a ramp."""
        return self.rise_to_the_end(name) is not None

    def rise_to_the_end(self, name: str) -> tuple[float, Interval] | None:
        """The rate and its interval of resident memory that is still rising."""
        if name not in RESIDENT or name not in self._prepared:
            return None
        return rise_to_the_end(self._prepared[name])

    def is_mapped(self, name: str) -> bool:
        """Whether resident memory grows call by call, as straight as only mapping does it."""
        ramp = self._prepared[name].ramp if name in self._prepared else None
        if ramp is None or ramp.growth <= 0:
            return False
        even_by = thresholds.MAPPED_EVENNESS
        even = ramp.first > 0 and 1 - even_by <= ramp.second / ramp.first <= 1 + even_by
        straight = ramp.whole.spread <= thresholds.MAPPED_SPREAD * ramp.growth
        return even and straight and ramp.whole.rate >= thresholds.PAGE

    def next_round(self) -> int | None:
        """Iterations worth running before asking again; None where there is no opinion.

        Growth is let go on only by an eighth of what would settle the matter, and never for longer
        than the length that is asked for.
        """
        limits = [
            limit
            for name in self._prepared
            if (limit := self._round_for(name, self._prepared[name]))
        ]
        return max(1, math.floor(min(limits))) if limits else None

    def _round_for(self, name: str, prepared: PreparedSeries) -> float | None:
        if prepared.length <= 0:
            return None
        (_, first), (_, last) = prepared.points[0], prepared.points[-1]
        rate = (last - first) / prepared.length
        if last - first < prepared.tolerance.minimum_growth or rate <= prepared.tolerance.min_rate:
            return None
        by_size = thresholds.NEXT_ROUND_SHARE * prepared.tolerance.implausible / rate
        needed = needed_for_growth(self.seconds)
        if not self._has_ramp(name) or needed is None or prepared.length >= needed:
            return by_size
        return min(by_size, needed - prepared.length)

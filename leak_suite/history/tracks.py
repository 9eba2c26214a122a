"""The figures of each workload over the commits, with the change points of each. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

from leak_suite.compare import Profile, environment_difference, smallest_change
from leak_suite.history.change_points import change_points
from leak_suite.metrics import metric_named
from leak_suite.result import Outcome

__all__ = ["ChangePoint", "History", "KeptCommit", "Track", "follow"]


@dataclass(frozen=True)
class KeptCommit:
    """A commit whose runs were kept: its hash, its time (ISO 8601, UTC), its workloads by name."""

    sha: str
    time: str
    profiles: Mapping[str, Profile]

    @property
    def short(self) -> str:
        """The beginning of the hash, as people write it."""
        return self.sha[:9]


@dataclass(frozen=True)
class ChangePoint:
    """The commit, by its place in the history, at which `before` became `after`: medians."""

    commit: int
    before: float
    after: float


@dataclass(frozen=True)
class Track:
    """One measure of one workload: its value at each commit, None where it was not measured.

    Of a `rate`, values are growth an iteration: 0 where the verdict is stable, None where it is
    inconclusive. `environments` are the commits at which another machine or Python begins; levels
    on both sides of one are not compared.
    """

    workload: str
    measure: str
    unit: str
    kind: Literal["level", "rate"]
    values: tuple[float | None, ...]
    changes: tuple[ChangePoint, ...] = ()
    environments: tuple[int, ...] = ()

    @property
    def latest(self) -> float | None:
        """The value at the last commit that has one."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True)
class History:
    """All commits, oldest first, and what was followed over them."""

    commits: tuple[KeptCommit, ...]
    tracks: tuple[Track, ...]

    @property
    def growing(self) -> tuple[str, ...]:
        """The workloads that grow at the last commit that measured them."""
        last = {name: one for commit in self.commits for name, one in commit.profiles.items()}
        return tuple(
            name
            for name, one in sorted(last.items())
            if any(growth.outcome is Outcome.GROWING for growth in one.growth.values())
        )

    def to_json(self) -> str:
        """The commits and the tracks, for other programs."""
        commits = [{"sha": one.sha, "time": one.time} for one in self.commits]
        data = {"kind": "history", "commits": commits, "tracks": [asdict(t) for t in self.tracks]}
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def follow(commits: Sequence[KeptCommit]) -> History:
    """The history of these commits, which are oldest first.

    Levels are followed for every workload; growth only of metrics that grew at some commit.
    """
    tracks: list[Track] = []
    for name in sorted({name for commit in commits for name in commit.profiles}):
        profiles = [commit.profiles.get(name) for commit in commits]
        tracks += _levels(name, profiles)
        tracks += _rates(name, profiles)
    return History(tuple(commits), tuple(tracks))


def _levels(workload: str, profiles: Sequence[Profile | None]) -> Iterator[Track]:
    known = [one for one in profiles if one is not None]
    for measure in dict.fromkeys(measure for one in known for measure in one.levels):
        levels = [None if one is None else one.levels.get(measure) for one in profiles]
        unit = next(level.unit for level in levels if level is not None)
        values = tuple(None if level is None else level.value for level in levels)
        middle = statistics.median(value for value in values if value is not None)
        yield _track(
            workload, measure, unit, "level", values, profiles, smallest_change(unit, middle)
        )


def _rates(workload: str, profiles: Sequence[Profile | None]) -> Iterator[Track]:
    known = [one for one in profiles if one is not None]
    grew = (
        metric
        for one in known
        for metric, growth in one.growth.items()
        if growth.outcome is Outcome.GROWING
    )
    for metric in dict.fromkeys(grew):
        growths = [None if one is None else one.growth.get(metric) for one in profiles]
        unit = next(one.unit for one in growths if one is not None and one.unit)
        values = tuple(
            None if one is None or one.outcome is Outcome.INCONCLUSIVE
            else (one.rate if one.outcome is Outcome.GROWING else 0.0)
            for one in growths
        )  # fmt: skip
        yield _track(workload, metric, unit, "rate", values, profiles, _smallest_rate(metric))


def _track(
    workload: str,
    measure: str,
    unit: str,
    kind: Literal["level", "rate"],
    values: tuple[float | None, ...],
    profiles: Sequence[Profile | None],
    smallest: float,
) -> Track:
    borders = _environments(profiles)
    changes: list[ChangePoint] = []
    for start, end in pairwise((0, *borders, len(values))):
        places = [place for place in range(start, end) if values[place] is not None]
        found = [value for place in places if (value := values[place]) is not None]
        cuts = change_points(found, smallest)
        ends = (0, *cuts, len(found))
        middles = [statistics.median(found[a:b]) for a, b in pairwise(ends) if b > a]
        changes += [
            ChangePoint(places[cut], before, after)
            for cut, (before, after) in zip(cuts, pairwise(middles), strict=True)
        ]
    return Track(workload, measure, unit, kind, values, tuple(changes), borders)


def _environments(profiles: Sequence[Profile | None]) -> tuple[int, ...]:
    """Where a profile is of another environment than the one before it."""
    borders, last = [], None
    for place, one in enumerate(profiles):
        if one is None:
            continue
        if last is not None and environment_difference(last.environment, one.environment):
            borders.append(place)
        last = one
    return tuple(borders)


def _smallest_rate(metric: str) -> float:
    """Growth an iteration below which the metric's growth does not matter."""
    try:
        return metric_named(metric).min_rate
    except KeyError:
        return 0.0

"""How long a worker that leaks may live under a memory limit: pure, from a run that was judged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from enum import Enum
from statistics import median

from leak_suite.errors import ConfigurationError
from leak_suite.result import Finding, Outcome, RunResult, Series
from leak_suite.units import KIB, format_rate, format_value

__all__ = ["Advice", "AdviceKind", "Range", "Setting", "advise"]

_RESIDENT = ("pss", "private_dirty", "rss", "rss_anon")
_LEVEL_READINGS = 3
_KEPT_FREE = 0.1
"""A share of the headroom that no setting uses up: requests do not spread evenly over workers."""
_JITTER = 0.1
"""Workers end over this share of the requests, and not all at once."""
_FEW_REQUESTS = 20


class AdviceKind(str, Enum):
    """What the advice comes to."""

    RECYCLE = "recycle"
    NOT_NEEDED = "not needed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Range:
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Setting:
    """The lines that set the advice in one program."""

    program: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """What to set so that `workers` processes stay below `limit` bytes though each of them leaks.

    All memory in bytes. `rate` is growth of the whole service per request, by `metric`. `base` is
    what the service holds with fresh workers, `transient` what a request needs for a moment on top.
    `requests` and `seconds` are those until the limit is met without recycling; `pace` is in
    requests a second, and `pace_given` whether it was given rather than taken from the run.
    `max_requests` and `jitter` are for one worker, `max_memory_per_child` is its resident memory.
    """

    kind: AdviceKind
    reason: str
    subject: str
    limit: int
    workers: int
    metric: str = ""
    rate: Range | None = None
    base: float | None = None
    transient: float = 0.0
    pace: float | None = None
    pace_given: bool = False
    requests: Range | None = None
    seconds: Range | None = None
    max_requests: int | None = None
    jitter: int | None = None
    max_memory_per_child: int | None = None
    settings: tuple[Setting, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Over budget (1) where the limit does not hold even a fresh worker, else stable (0)."""
        return Outcome.OVER_BUDGET if self.kind is AdviceKind.REFUSED else Outcome.STABLE

    def to_json(self) -> str:
        """The advice for other programs."""
        return json.dumps({"kind": "advice", "advice": asdict(self)}, indent=1) + "\n"


def advise(
    result: RunResult,
    limit: int,
    *,
    workers: int | None = None,
    requests_per_iteration: float = 1.0,
    requests_per_second: float | None = None,
) -> Advice:
    """How to recycle the workers of a service whose run is `result`, under `limit` bytes in all.

    `workers` is how many share the limit; None is as many as were measured.

    Raises:
        ConfigurationError: the run does not tell: it holds no memory in bytes, was inconclusive, or
            was of several processes and of another number of workers.
    """
    measured = _measured_workers(result)
    workers = measured if workers is None else workers
    if measured > 1 and workers != measured:
        raise ConfigurationError(
            f"the run was of {measured} workers; measure the service with {workers} of them"
        )
    growing = _growth(result)
    level, base = _base(result, growing)
    # One process was measured: each of the others takes as much, whatever they share.
    base *= workers / measured
    transient = _transient(result, level) * workers / measured
    known = Advice(
        AdviceKind.REFUSED,
        "",
        result.subject,
        limit,
        workers,
        base=base,
        transient=transient,
    )
    if base + transient >= limit:
        return replace(known, reason=_too_small(known, limit))
    if growing is None:
        return _without_growth(result, known)
    return _recycled(result, known, growing, measured, requests_per_iteration, requests_per_second)


def _measured_workers(result: RunResult) -> int:
    """Those of a server with a parent process that works for nobody; 1 for a single process."""
    processes = 1 if result.agents is None else result.agents.processes
    return max(1, processes - 1)


def _base(result: RunResult, growing: Finding | None) -> tuple[Series, float]:
    """The series of the service's level, and the level of a warm one that has not leaked yet.

    What leaked while it warmed up is taken off again, as far as it stood at the first reading.
    """
    for metric in ("pss", "rss"):
        for series in result.series:
            if series.metric != metric or series.process or not (judged := series.judged()):
                continue
            level = median(value for _, value in judged[:_LEVEL_READINGS])
            if growing is None:
                return series, level
            first = next(value for _, value in series.samples if value is not None)
            done, level = judged[0]
            return series, max(min(first, level), level - (growing.rate or 0.0) * done)
    raise ConfigurationError("the run holds no readings of resident memory, so no limit can be met")


def _transient(result: RunResult, level: Series) -> float:
    """The most that the peak of a round stood above the level at its end."""
    peaks = next((s for s in result.series if s.metric == "peak" and not s.process), None)
    if peaks is None:
        return 0.0
    levels = dict(level.judged())
    above = [value - levels[n] for n, value in peaks.judged() if n in levels]
    return max([0.0, *above])


def _too_small(known: Advice, limit: int) -> str:
    service = "a fresh worker" if known.workers == 1 else f"{known.workers} fresh workers"
    base = format_value(known.base, "bytes")
    needs = f"{service} hold{'s' if known.workers == 1 else ''} {base} before the growth begins"
    if known.transient >= KIB:
        needs += f", and its requests need {format_value(known.transient, 'bytes')} more at times"
    return (
        f"a limit of {format_value(limit, 'bytes')} is too small: {needs}. Recycling at that limit "
        "would replace every worker after every request"
    )


def _growth(result: RunResult) -> Finding | None:
    """The growing finding whose rate comes nearest to what a limit counts.

    Raises:
        ConfigurationError: something grows, but no rate in bytes is known.
    """
    growing = [f for f in result.findings if f.outcome is Outcome.GROWING]
    memory = [f for f in growing if f.unit == "bytes" and _is_known(f)]
    for metric in (*_RESIDENT, "heap"):
        found = [f for f in memory if f.metric == metric]
        if found:
            # Of the same metric, the subject as a whole says more than one group of processes.
            return min(found, key=lambda f: (bool(f.process), -(f.rate or 0.0)))
    of_heap = [f for f in growing if f.metric in ("blocks", "gc_objects", "heap")]
    rising = [f for f in result.findings if f.metric in _RESIDENT and _is_known(f)]
    if of_heap and rising:
        return min(rising, key=lambda f: _RESIDENT.index(f.metric))
    if of_heap:
        speed = format_rate(of_heap[0].rate, of_heap[0].unit)
        raise ConfigurationError(
            f"{of_heap[0].metric} grows by {speed}, but no rate in bytes is known yet: run for "
            "longer (--max-seconds), until resident memory shows it"
        )
    return None


def _is_known(finding: Finding) -> bool:
    return bool(finding.rate and finding.rate > 0 and finding.interval and finding.interval[0] > 0)


def _without_growth(result: RunResult, known: Advice) -> Advice:
    if result.outcome is Outcome.INCONCLUSIVE:
        raise ConfigurationError(
            f"the run was inconclusive ({result.reason or 'see its report'}): there is no rate to "
            "advise from"
        )
    headroom = known.limit - (known.base or 0.0) - known.transient
    unknown = [
        f.detectable_rate
        for f in result.findings
        if f.metric in (*_RESIDENT, "heap") and f.detectable_rate
    ]
    reason = "no memory of this run grows, so no worker needs to be recycled"
    if unknown:
        rate = min(unknown)
        count = format_value(float(int(headroom / rate)), "")
        reason += (
            f"; growth below {format_rate(rate, 'bytes')}, which it would not have seen, takes "
            f"more than {count} iterations to the limit"
        )
    return replace(known, kind=AdviceKind.NOT_NEEDED, reason=reason)


def _recycled(
    result: RunResult,
    known: Advice,
    finding: Finding,
    measured: int,
    requests_per_iteration: float,
    requests_per_second: float | None,
) -> Advice:
    assert finding.rate is not None
    assert finding.interval is not None
    assert known.base is not None
    slow, fast = finding.interval
    rate = Range(*(value / requests_per_iteration for value in (finding.rate, slow, fast)))
    headroom = known.limit - known.base - known.transient
    requests = Range(headroom / rate.value, headroom / rate.high, headroom / rate.low)
    pace = requests_per_second or _pace(result, requests_per_iteration)
    seconds = None
    if pace:
        seconds = Range(*(count / pace for count in (requests.value, requests.low, requests.high)))
    # The whole service may serve so many, and each worker its share of them; by the fast end of the
    # interval, since a limit is met by the worst case and not by the usual one.
    share = (1 - _KEPT_FREE) * requests.low / known.workers
    most = math.floor(share)
    if most < 1:
        growth = format_value(rate.high, "bytes")
        return replace(
            known,
            metric=finding.metric,
            rate=rate,
            reason=f"one request adds up to {growth}, and {known.workers} "
            f"{'worker has' if known.workers == 1 else 'workers have'} "
            f"{format_value(headroom, 'bytes')} of headroom: no worker would serve even one",
        )
    jitter = math.floor(most * _JITTER)
    max_requests = _rounded_down(most - jitter)
    resident = _resident_of_one(result, finding, known.base / known.workers, measured)
    per_child = int(resident + (1 - _KEPT_FREE) * headroom / known.workers)
    remarks = []
    if max_requests < _FEW_REQUESTS:
        remarks.append(
            f"A worker would serve {max_requests} requests only: starting workers will cost more "
            "than serving. Mend the leak, or give it more memory."
        )
    if measured > 1:
        remarks.append(
            f"{measured} workers were measured, and a process above them. "
            "A worker's own memory is taken as an equal share of what all processes hold."
        )
    elif known.workers > 1:
        remarks.append(
            "One process was measured; each worker is counted with as much, though forked ones "
            "share a part of it."
        )
    return replace(
        known,
        kind=AdviceKind.RECYCLE,
        reason=f"replace each worker after {format_value(max_requests, 'requests')}",
        metric=finding.metric,
        rate=rate,
        pace=pace,
        pace_given=requests_per_second is not None,
        requests=requests,
        seconds=seconds,
        max_requests=max_requests,
        jitter=jitter,
        max_memory_per_child=per_child,
        settings=_settings(max_requests, jitter, per_child),
        remarks=tuple(remarks),
    )


def _pace(result: RunResult, requests_per_iteration: float) -> float | None:
    done = result.iterations - result.details.warm_up_iterations
    if done <= 0 or result.seconds <= 0:
        return None
    return done / result.seconds * requests_per_iteration


def _resident_of_one(result: RunResult, finding: Finding, share: float, measured: int) -> float:
    """Resident memory of one fresh worker, shared pages too: that is what Celery looks at."""
    if measured == 1:
        return share
    rss = tuple(one for one in result.series if one.metric == "rss")
    return _base(replace(result, series=rss), finding)[1] / (measured + 1)


def _rounded_down(count: int) -> int:
    """With two digits that are not zero: a limit is no more exact than that."""
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return max(1, count // unit * unit)


def _settings(count: int, jitter: int, per_child: int) -> tuple[Setting, ...]:
    uvicorn = f"uvicorn --limit-max-requests {count} --limit-max-requests-jitter {jitter}"
    return (
        Setting("gunicorn", (f"gunicorn --max-requests {count} --max-requests-jitter {jitter}",)),
        Setting("uvicorn (the jitter from 0.41 on)", (uvicorn,)),
        Setting(
            "Celery (the second in KiB of resident memory; whichever comes first)",
            (
                f"worker_max_tasks_per_child = {count}",
                f"worker_max_memory_per_child = {per_child // KIB}",
            ),
        ),
        Setting(
            "Pools of the standard library",
            (
                f"multiprocessing.Pool(maxtasksperchild={count})",
                f"ProcessPoolExecutor(max_tasks_per_child={count})",
            ),
        ),
    )

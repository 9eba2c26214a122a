"""Uploads that trickle a byte now and then, beside ordinary clients: these notice nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import gevent

from load import files, invariants
from load.raw_uploads import trickle
from load.run_log import RunLog
from load.scenarios.base import Scenario
from load.scenarios.registry import register

__all__ = ["RATE", "SlowClients", "judge_rates"]

RATE = "ordinary clients are served at 80% of their usual rate"
TRICKLING = "reached: 50 uploads trickled at once"
_TRICKLING = 50
# Everything is cold in the first round, whichever kind it is.
_WARM_UP = 1
# Of every four rounds after it; so that what changes with time weighs on both kinds alike.
_BESIDE_SLOW = (1, 2)
_JOBS_EACH = 2
_LEAST_SHARE = 0.8
# Where the usual rate changes more than this by itself, other work on the machine is to blame.
_MOST_SPREAD = 1.5
_BEGIN_SECONDS = 10.0


@register
class SlowClients(Scenario):
    """Twenty ordinary clients, round by round by themselves or beside 50 uploads that trickle."""

    name = "slow_clients"
    users = 20
    rounds = _WARM_UP + 8
    required = (RATE, TRICKLING, invariants.LOST, invariants.ERRORS, invariants.HEALTH)

    def one_round(self) -> None:
        """Two jobs of each user; the others wait until the first user has begun the slow ones."""
        beside_slow = _is_beside_slow(self.session.round)
        if self.is_leader:
            self._lead(beside_slow)
            return
        self.session.wait_for("ready")
        self._ordinary()

    def _lead(self, beside_slow: bool) -> None:
        goes_on = beside_slow
        slow = [
            gevent.spawn(trickle, self.session.host, lambda: goes_on)
            for _ in range(_TRICKLING if beside_slow else 0)
        ]
        try:
            if beside_slow:
                self._wait_until_trickling()
            began = time.monotonic()
            self.session.count_down("ready", 1)
            self._ordinary()
            if self.session.wait_for("served"):
                self._note(time.monotonic() - began)
        finally:
            goes_on = False
            gevent.joinall(slow)

    def _ordinary(self) -> None:
        try:
            for _ in range(_JOBS_EACH):
                self.finish(self.send(files.quick_job()))
        finally:
            self.session.count_down("served", self.session.users)

    def _wait_until_trickling(self) -> None:
        deadline = time.monotonic() + _BEGIN_SECONDS
        count = 0
        while count < _TRICKLING and time.monotonic() < deadline:
            gevent.sleep(0.1)
            count = int((self.memory_health() or {}).get("jobs", {}).get("uploading", 0))
        if count >= _TRICKLING:
            self.session.log.mark_reached(TRICKLING)

    def _note(self, seconds: float) -> None:
        """Keep the rate of a round; judge after the last."""
        session = self.session
        session.rates.append(session.users * _JOBS_EACH / seconds)
        if session.round + 1 == session.rounds:
            judge_rates(session.log, session.rates)


def judge_rates(log: RunLog, rates: Sequence[float]) -> None:
    """Judge the median over every two neighbours, one of each kind, after the warm-up."""
    measured = list(enumerate(rates))[_WARM_UP:]
    alone = [rate for number, rate in measured if not _is_beside_slow(number)]
    beside = [rate for number, rate in measured if _is_beside_slow(number)]
    if not beside:
        return
    share = median(slow / usual for usual, slow in zip(alone, beside, strict=False))
    text = (
        f"{median(beside):.2f} jobs a second beside {_TRICKLING} uploads that trickle, "
        f"{median(alone):.2f} without: {share:.0%}"
    )
    log.figures.append(text)
    shown = ", ".join(f"{rate:.2f}" for rate in rates)
    log.figures.append(f"jobs a second, round by round, the first to warm up: {shown}")
    if max(alone) > _MOST_SPREAD * min(alone):
        log.skip(RATE, f"{text}; but the rate without them changes by itself: {shown}")
        log.broken.append("the machine was too busy to compare rates")
        return
    log.record(RATE, share >= _LEAST_SHARE, text)


def _is_beside_slow(number: int) -> bool:
    """Whether the slow uploads are there in the round of this number."""
    return number >= _WARM_UP and (number - _WARM_UP) % 4 in _BESIDE_SLOW

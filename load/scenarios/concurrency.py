"""More users than slots: every slot taken, the queue filled to its last place, some turned away."""

from __future__ import annotations

import time

import gevent
from locust import tag, task

from load import files, invariants
from load.scenarios.base import COMPLETED, LoadUser, retry_seconds

__all__ = ["Concurrency"]

ADMITTED = "who keeps to Retry-After is admitted in the end"

_FAILED = frozenset({"failed"})
# How many of the queue are files whose jobs fail: a slot that a failure keeps is missed later.
_FAILING = 2


class Concurrency(LoadUser):
    """Openers take the slots, fillers the places behind, the others have to come again."""

    rounds = 8
    required = (
        invariants.SLOTS,
        invariants.PLACES,
        invariants.LOST,
        invariants.ORDER,
        invariants.SNAPSHOT,
        invariants.HEALTH,
        invariants.SLOTS_BUSY,
        invariants.QUEUE_FULL,
        invariants.RETRY_AFTER,
        ADMITTED,
    )

    @tag("concurrency")
    @task
    def play(self) -> None:
        """All rounds."""
        super().play()

    def one_round(self) -> None:
        """Take this user's part in filling the service."""
        plan = self.session.plan
        if self.seat < plan.slots:
            self._open(plan.slots)
        elif self.seat < plan.slots + plan.pending:
            self._fill(plan.pending, failing=self.seat < plan.slots + _FAILING)
        else:
            self._come_again()

    def _open(self, needed: int) -> None:
        try:
            job = self.send(files.long_job())
            self.follow(job, frozenset({"processing"}))
        finally:
            self.session.arrive("slots taken", needed)
        self.finish(job)

    def _fill(self, needed: int, *, failing: bool) -> None:
        self.session.pass_gate("slots taken")
        content, ends = (files.audio_only(), _FAILED) if failing else (files.quick_job(), COMPLETED)
        try:
            job = self.send(content, ends=ends)
        finally:
            self.session.arrive("queue filled", needed)
        self.finish(job)

    def _come_again(self) -> None:
        """Knock at a full service; once refused, wait as told, until there is a place."""
        self.session.pass_gate("queue filled")
        self.snapshot()
        refused, job = 0, None
        deadline = time.monotonic() + 3 * self.session.plan.patience_seconds
        while job is None and time.monotonic() < deadline:
            answer = self.upload(files.quick_job())
            job = self.take(answer)
            if job is None:
                refused += 1
                gevent.sleep(retry_seconds(answer) or 1)
        if refused:
            text = f"still refused after {refused} waits as long as Retry-After said"
            self.session.ledger.saw(ADMITTED, job is not None, text)
        if job is not None:
            self.snapshot()
            self.finish(job)

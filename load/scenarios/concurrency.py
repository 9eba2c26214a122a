"""More users than slots: every slot taken, the queue filled to its last place, some turned away."""

from __future__ import annotations

import time

import gevent

from load import files, invariants
from load.plan import LoadPlan
from load.scenarios.base import COMPLETED, Scenario, retry_seconds
from load.scenarios.registry import register

__all__ = ["Concurrency"]

ADMITTED = "who keeps to Retry-After is admitted in the end"

_FAILED = frozenset({"failed"})
# How many of the queue are files whose jobs fail: a slot that a failure keeps is missed later.
_FAILING = 2
_TOO_MANY = 3


@register
class Concurrency(Scenario):
    """The first users take the slots, the next the queue, the others have to come again."""

    name = "concurrency"
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

    @classmethod
    def default_users(cls, plan: LoadPlan) -> int:
        """One for every slot and every place in the queue, and some too many."""
        return plan.slots + plan.pending + _TOO_MANY

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        files.long_job()
        files.audio_only()

    def one_round(self) -> None:
        """Take this user's part in filling the service."""
        plan = self.session.plan
        if self.user_index < plan.slots:
            self._take_slot(plan.slots)
        elif self.user_index < plan.slots + plan.pending:
            self._take_place(plan.pending, failing=self.user_index < plan.slots + _FAILING)
        else:
            self._retry_until_accepted()

    def _take_slot(self, needed: int) -> None:
        try:
            job = self.send(files.long_job())
            self.follow(job, frozenset({"processing"}))
        finally:
            self.session.count_down("slots taken", needed)
        self.finish(job)

    def _take_place(self, needed: int, *, failing: bool) -> None:
        self.session.wait_for("slots taken")
        content, ends = (files.audio_only(), _FAILED) if failing else (files.quick_job(), COMPLETED)
        try:
            job = self.send(content, ends=ends)
        finally:
            self.session.count_down("queue filled", needed)
        self.finish(job)

    def _retry_until_accepted(self) -> None:
        """Upload to a full service; where refused, wait as Retry-After says and try again."""
        self.session.wait_for("queue filled")
        self.snapshot()
        refused, job = 0, None
        deadline = time.monotonic() + 3 * self.session.plan.stall_seconds
        while job is None and time.monotonic() < deadline:
            answer = self.upload(files.quick_job())
            job = self.accept(answer)
            if job is None:
                refused += 1
                gevent.sleep(retry_seconds(answer) or 1)
        if refused:
            text = f"still refused after {refused} waits as long as Retry-After said"
            self.session.log.record(ADMITTED, job is not None, text)
        if job is not None:
            self.snapshot()
            self.finish(job)

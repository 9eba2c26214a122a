"""Ordinary traffic: one after the other, in bursts, and for as long as one likes."""

from __future__ import annotations

import gevent

from load import files, invariants
from load.plan import LoadPlan
from load.scenarios.base import Scenario
from load.scenarios.registry import register

__all__ = ["Burst", "Soak", "Steady"]

_SIZES = (5, 10, 20)
_SILENCE_SECONDS = 2.0
_COMMON = (invariants.LOST, invariants.ERRORS, invariants.SLOTS, invariants.HEALTH)


class _Sizes(Scenario):
    """Uploads of 5, 10 and 20 MB in turn."""

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        for size in _SIZES:
            files.of_size(size, plan.clips)

    def one_round(self) -> None:
        """One upload and its job."""
        size = _SIZES[(self.session.round + self.user_index) % len(_SIZES)]
        self.finish(self.send(files.of_size(size, self.session.plan.clips)))


@register
class Steady(_Sizes):
    """Twenty uploads one after the other, of 5, 10 and 20 MB in turn."""

    name = "steady"
    rounds = 20
    required = _COMMON


@register
class Burst(_Sizes):
    """Five at once, then silence, again and again."""

    name = "burst"
    users = 5
    rounds = 10
    required = (*_COMMON, invariants.SLOTS_BUSY)

    def one_round(self) -> None:
        """One upload of the burst, and the silence after it."""
        super().one_round()
        gevent.sleep(_SILENCE_SECONDS)


@register
class Soak(Scenario):
    """Many users for a given time, each sending again as soon as its job is done."""

    name = "soak"
    users = 12
    rounds = 10_000
    seconds = 300.0
    required = (*_COMMON, invariants.SLOTS_BUSY)

    def one_round(self) -> None:
        """One job of each user, the table downloaded by every third."""
        job = self.follow(self.send(files.quick_job()))
        if job.status == "completed" and self.user_index % 3 == 0:
            path = f"/api/download/{job.job_id}/csv"
            self.client.get(path, name="/api/download/[id]/csv", timeout=60)
        self.clean(job)

"""Ordinary traffic: one after the other, in bursts, and for as long as one likes."""

from __future__ import annotations

import gevent
from locust import tag, task

from load import files, invariants
from load.scenarios.base import LoadUser

__all__ = ["Burst", "Soak", "Steady"]

_SIZES = (5, 10, 20)
_SILENCE_SECONDS = 2.0
_COMMON = (invariants.LOST, invariants.ERRORS, invariants.SLOTS, invariants.HEALTH)


class Steady(LoadUser):
    """Twenty uploads one after the other, of 5, 10 and 20 MB in turn."""

    rounds = 20
    required = _COMMON

    @tag("steady")
    @task
    def play(self) -> None:
        """All rounds."""
        super().play()

    def one_round(self) -> None:
        """One upload and its job."""
        size = _SIZES[(self.session.round + self.seat) % len(_SIZES)]
        self.finish(self.send(files.of_size(size, self.session.plan.clips)))


class Burst(LoadUser):
    """Five at once, then silence, again and again."""

    rounds = 10
    required = (*_COMMON, invariants.SLOTS_BUSY)

    @tag("burst")
    @task
    def play(self) -> None:
        """All rounds."""
        super().play()

    def one_round(self) -> None:
        """One upload of the burst, and the silence after it."""
        size = _SIZES[(self.session.round + self.seat) % len(_SIZES)]
        self.finish(self.send(files.of_size(size, self.session.plan.clips)))
        gevent.sleep(_SILENCE_SECONDS)


class Soak(LoadUser):
    """Many users for a given time, each sending again as soon as its job is done."""

    rounds = 10_000
    required = (*_COMMON, invariants.SLOTS_BUSY)

    @tag("soak")
    @task
    def play(self) -> None:
        """All rounds."""
        super().play()

    def one_round(self) -> None:
        """One job of each user, the table downloaded by every third."""
        job = self.follow(self.send(files.quick_job()))
        if job.status == "completed" and self.seat % 3 == 0:
            path = f"/api/download/{job.job_id}/csv"
            self.client.get(path, name="/api/download/[id]/csv", timeout=60)
        self.clean(job)

"""Bad files among good ones: each is refused or fails with a reason, and the good ones finish."""

from __future__ import annotations

import gevent

from fixtures.hostile import HOSTILE, Recipe
from load import files, invariants
from load.plan import LoadPlan
from load.scenarios.base import Scenario, retry_seconds
from load.scenarios.registry import register

__all__ = ["Hostile"]

STATUS = "every hostile file gets the answer it deserves"
REASON = "every failed job gives a reason"
_PER_ROUND = 3
_TRIES = 20


@register
class Hostile(Scenario):
    """The first user sends the catalogue of hostile files, the others send good ones meanwhile."""

    name = "hostile"
    users = 3
    rounds = -(-len(HOSTILE) // _PER_ROUND)
    required = (
        STATUS,
        REASON,
        invariants.LOST,
        invariants.ENDS,
        invariants.ERRORS,
        invariants.HEALTH,
    )

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        for recipe in HOSTILE.values():
            recipe.make()

    def one_round(self) -> None:
        """Three hostile files, or one good one."""
        if not self.is_leader:
            self.finish(self.send(files.quick_job()))
            return
        names = list(HOSTILE)
        first = self.session.round * _PER_ROUND
        for name in names[first : first + _PER_ROUND]:
            self._send_hostile(name, HOSTILE[name])

    def _send_hostile(self, name: str, recipe: Recipe) -> None:
        content = recipe.make()
        for _ in range(_TRIES):
            answer = self.upload(
                content, name=recipe.filename, kind=recipe.content_type, label="[hostile]"
            )
            if answer.status_code != 503:
                break
            gevent.sleep(retry_seconds(answer) or 1)
        text = f"{name} was answered {answer.status_code}"
        self.session.log.record(STATUS, answer.status_code in recipe.statuses, text)
        job = self.accept(answer, recipe.ends)
        if job is None:
            return
        self.finish(job)
        if job.status == "failed":
            self.session.log.record(REASON, bool(job.view.get("error")), f"{name}: no reason")

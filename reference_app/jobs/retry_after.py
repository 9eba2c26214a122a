"""When a client that found the queue full should come back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["JobPace", "estimated_wait_seconds"]

_SHORTEST, _LONGEST = 1, 300
# Less progress than this gives no pace.
_LEAST_GAIN = 0.05
# Jobs slow one another down, and their last steps are not reported one by one.
_MARGIN = 1.25
# For the last report to arrive, the files to be put in order, and the next job to start.
_HANDOVER_SECONDS = 1.0


@dataclass(frozen=True)
class JobPace:
    """A running job: seconds since its start and since its first progress, and shares of it.

    `gained` was done since the first progress, `done` since the start.
    """

    spent: float
    moving: float
    gained: float
    done: float


def estimated_wait_seconds(running: Sequence[JobPace], usual_seconds: float) -> int:
    """Whole seconds, 1 to 300, after which the first of the running jobs should have ended.

    That end is what makes room: the head of the queue starts, and its place is free.

    - Jobs that have gained at least 5% go on at their pace: left = moving / gained * (1 - done).
      What went before the first progress, the start of a worker, is no part of it. Jobs that have
      shown less may be of any length, so they give no hope where others are known.
    - Where none is known, they take as long as is usual, and once that is over, as long again as
      they have taken: left = usual - spent, or spent if that is more. Where nothing runs at all,
      `usual` is left. That is a guess: the usual job may have been another kind, or have had the
      processors to itself.
    - The answer is 1.25 * (the least that is left) + 1, rounded up.
    """
    known = [job.moving / job.gained * (1 - job.done) for job in running if _tells(job)]
    unknown = [max(usual_seconds - job.spent, job.spent) for job in running if not _tells(job)]
    left = min(known or unknown or [usual_seconds])
    seconds = math.ceil(min(_MARGIN * left + _HANDOVER_SECONDS, _LONGEST))
    return max(_SHORTEST, seconds)


def _tells(job: JobPace) -> bool:
    return job.gained >= _LEAST_GAIN

"""When a client that found the queue full should come back."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["seconds_until_a_place"]

_SHORTEST, _LONGEST = 1, 300
# The first steps of a job say little of its pace: less than this counts as this much.
_TELLING_SHARE = 0.05
# Jobs slow one another down, and their last steps are not told one by one.
_MARGIN = 1.25
# For the last report to arrive, the files to be put in order, and the next job to start.
_HANDOVER_SECONDS = 1.0


def seconds_until_a_place(running: Iterable[tuple[float, float]], usual_seconds: float) -> int:
    """Whole seconds, 1 to 300, after which the first of the running jobs should have ended.

    That end is what makes room: the head of the queue starts, and its place is free. `running`
    holds for every job the seconds it has `spent` and the share of it that is `done`:

    - a job that has shown progress goes on at its pace: left = spent * (1 - done) / done;
    - one that has shown none will take as long as is usual, and once that is over, as long again
      as it has taken: left = usual - spent, or spent if that is more;
    - answer = 1.25 * (the least that is left) + 1, rounded up; where nothing runs, `usual` is left.
    """
    left = min((_left(*job, usual_seconds) for job in running), default=usual_seconds)
    seconds = math.ceil(min(_MARGIN * left + _HANDOVER_SECONDS, _LONGEST))
    return max(_SHORTEST, seconds)


def _left(spent: float, done: float, usual_seconds: float) -> float:
    if done <= 0:
        return max(usual_seconds - spent, spent)
    done = max(done, _TELLING_SHARE)
    return spent * (1 - done) / done

"""What every stage of a job uses: blame, files that appear when whole, progress and cancelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reference_app.pipeline.errors import PipelineCancelled, PipelineError, StageFailed
from reference_app.pipeline.task import Progress

__all__ = ["Reporter", "partial_path", "publish", "stage"]

INTERVAL_SECONDS = 0.3


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Turn what a part raises into a failure of its stage; answers for people pass unchanged.

    So does `MemoryError`: whichever stage it meets, the job's memory is what ran out.
    """
    try:
        yield
    except (PipelineError, MemoryError):
        raise
    except Exception as error:
        raise StageFailed(name, f"{type(error).__name__}: {error}") from error


def partial_path(path: Path) -> Path:
    """Where `path` is written before it is whole; the suffix stays, for encoders go by it."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def publish(path: Path) -> None:
    """Give the finished file its name, in one step."""
    partial_path(path).replace(path)


class Reporter:
    """Stands between a job and whoever watches it; what the watcher raises ends the job."""

    def __init__(
        self,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.stage = ""
        self._report = report
        self._cancelled = cancelled
        self._clock = clock
        self._next = 0.0

    def enter(self, stage: str, fraction: float, message: str) -> None:
        """A stage begins: always reported."""
        self.stage = stage
        self.check()
        self._report_progress(fraction, message)

    def advance(self, fraction: float, message: Callable[[], str]) -> None:
        """A stage moves on: reported when the last report is long enough ago."""
        self.check()
        if self._clock() >= self._next:
            self._report_progress(fraction, message())

    def check(self) -> None:
        """End the job here if someone asked for it."""
        if self._cancelled():
            raise PipelineCancelled(self.stage)

    def _report_progress(self, fraction: float, message: str) -> None:
        self._next = self._clock() + INTERVAL_SECONDS
        self._report(Progress(self.stage, round(min(1.0, max(0.0, fraction)), 3), message))

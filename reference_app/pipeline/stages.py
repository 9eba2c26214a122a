"""Which stage is to blame when a part raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reference_app.pipeline.errors import PipelineError, StageFailed

__all__ = ["stage"]


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Turn what a part raises into a failure of its stage; answers for people pass unchanged."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        raise StageFailed(name, f"{type(error).__name__}: {error}") from error

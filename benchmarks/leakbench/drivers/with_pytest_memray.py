"""pytest-memray's leak limit on one job, 2000 calls. Run by path with pytest and pytest-memray."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

CALLS = 2000


@pytest.fixture
def job() -> Callable[[], Any]:
    """The job, called once so that its first use is not counted."""
    from rss import load  # type: ignore[import-not-found]

    job: Callable[[], Any] = load(os.environ["LEAKBENCH_TARGET"])
    job()
    return job


@pytest.mark.limit_leaks("10 KB")
def test_job(job: Callable[[], Any]) -> None:
    """Leaks less than 10 KB at every place."""
    for _ in range(CALLS):
        job()


if __name__ == "__main__":
    os.environ["LEAKBENCH_TARGET"] = sys.argv[1]
    # No configuration but this: that of the folder above is for other tests.
    alone = ["-c", os.devnull, "-p", "no:cacheprovider"]
    status = pytest.main(["--memray", "-q", "--stacks=20", *alone, __file__])
    sys.stdout.flush()
    os._exit(int(status))

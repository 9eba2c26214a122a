"""psleak with its defaults on one job. Run by path in an environment that has psleak."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import psleak  # type: ignore[import-not-found]
from rss import load  # type: ignore[import-not-found]


class JobTest(psleak.MemoryLeakTestCase):  # type: ignore[misc]
    """Carries the defaults."""

    def runTest(self) -> None:
        """Nothing: only `execute` is used."""


def main() -> None:
    """Exit with 1 on a leak, and print the class of the finding."""
    job = load(sys.argv[1])
    status = 0
    try:
        JobTest().execute(job)
    except psleak.Error as error:
        print("finding", type(error).__name__)
        print(str(error)[:2000])
        status = 1
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()

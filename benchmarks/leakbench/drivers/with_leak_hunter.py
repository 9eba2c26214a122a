"""python-leak-hunter with its defaults on one job. Run by path in an environment that has it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from leak_hunter import measure_growth  # type: ignore[import-not-found]
from rss import load  # type: ignore[import-not-found]


def main() -> None:
    """Exit with 1 where objects accumulate, and print its report with the allocation sites."""
    report = measure_growth(load(sys.argv[1]), trace_allocations=True)
    print(report.format())
    sys.stdout.flush()
    # Threads that never end would keep a normal exit waiting.
    os._exit(1 if report.leaked else 0)


if __name__ == "__main__":
    main()

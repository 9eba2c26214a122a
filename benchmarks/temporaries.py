"""Measure false alarms on native temporaries of random size: `python -m benchmarks temporaries`.

Each job makes and frees buffers whose sizes are drawn log-uniformly from 50 B to 50 MB, by one
library, in 1 to 8 threads. Nothing is kept, so every run that is called growing is a false alarm.
A library that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.leakbench.tables import markdown
from benchmarks.proportions import wilson

__all__ = ["main"]

JOB = """
import math
import random
from concurrent.futures import ThreadPoolExecutor

RANDOM = random.Random({seed})
POOL = ThreadPoolExecutor({threads})


def size():
    return int(math.exp(RANDOM.uniform(math.log(50), math.log(50e6))))


{make}


def job():
    list(POOL.map(make, [size() for _ in range({threads})]))
"""
MAKERS = {
    "bytearray": ("", "def make(n):\n    bytearray(n)"),
    "numpy": ("numpy", "import numpy\n\ndef make(n):\n    numpy.ones(n // 8 + 1).sum()"),
    "pandas": (
        "pandas",
        "import pandas\n\ndef make(n):\n    pandas.DataFrame({'a': range(n // 16)}).sum()",
    ),
    "pyarrow": ("pyarrow", "import pyarrow\n\ndef make(n):\n    pyarrow.array(range(n // 8))"),
    "opencv": (
        "cv2",
        "import cv2\nimport numpy\n\ndef make(n):\n    side = max(2, math.isqrt(n // 3))\n"
        "    cv2.GaussianBlur(numpy.zeros((side, side, 3), numpy.uint8), (3, 3), 0)",
    ),
    "png decoded": (
        "cv2",
        "import cv2\nimport numpy\n\ndef make(n):\n    side = max(2, math.isqrt(n // 3))\n"
        "    png = cv2.imencode('.png', numpy.zeros((side, side, 3), numpy.uint8))[1]\n"
        "    cv2.imdecode(png, cv2.IMREAD_COLOR)",
    ),
}
"""By name, the library that has to be there, and the code that makes and frees one buffer."""
THREADS = (1, 2, 4, 8)


def main() -> int:
    """0 where no run is called growing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind and thread count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only what is made by this")
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    runs = alarms = 0
    for name, (library, make) in MAKERS.items():
        if given.only not in name:
            continue
        if library and importlib.util.find_spec(library) is None:
            print(f"{name}: {library} is not installed", file=sys.stderr)
            continue
        for threads in THREADS:
            ends = [
                _judged(make, threads, 1000 * given.seed + repeat) for repeat in range(given.repeat)
            ]
            outcomes = [outcome for outcome, _ in ends]
            runs, alarms = runs + len(ends), alarms + outcomes.count("growing")
            counts = [str(outcomes.count(one)) for one in ("growing", "inconclusive", "stable")]
            rows.append((name, str(threads), *counts, f"{max(s for _, s in ends):.1f}"))
            print(*rows[-1], file=sys.stderr, flush=True)
    print(markdown(("made by", "threads", "growing", "inconclusive", "stable", "longest s"), rows))
    low, high = wilson(alarms, runs)
    print(f"\n{alarms} of {runs} growing ({100 * low:.1f}-{100 * high:.1f}%)")
    return 1 if alarms else 0


def _judged(make: str, threads: int, seed: int) -> tuple[str, float]:
    """Run one job; its outcome, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        code = JOB.format(seed=seed, threads=threads, make=make)
        (Path(folder) / "jobs.py").write_text(code, encoding="utf-8")
        report = Path(folder) / "run.json"
        began = time.monotonic()
        command = [sys.executable, "-m", "leak_suite", "run", "jobs.py:job", "-o", str(report)]
        subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)
        outcome = json.loads(report.read_text(encoding="utf-8"))["outcome"]
        return str(outcome), time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())

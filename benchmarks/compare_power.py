"""How often `leak-suite compare` is right: unchanged runs, and a planted +5% or +1 MiB.

Every run is a real `leak-suite run` of a small job in a folder of its own; each comparison has
three repeats on either side, and none of its runs is used twice for the same line of the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPEATS = 3
MIB = 1024**2

JOB = '''"""Takes {peak} bytes for a moment; holds {held} from its import on."""

import json

HELD = bytearray({held})
RECORDS = [{{"n": n}} for n in range(2000)]


def work():
    buffer = bytearray({peak})
    return len(buffer) + len(json.dumps(RECORDS[:200]))
'''

PEAK, HELD = 24 * MIB, 2 * MIB
VARIANTS: Mapping[str, tuple[int, int]] = {
    "base": (PEAK, HELD),
    "unchanged": (PEAK, HELD),
    # 5% of the whole peak, of which the job's buffer is the greater part.
    "peak +5%": (PEAK + round(0.05 * (PEAK + HELD + 9 * MIB)), HELD),
    "peak +1 MiB": (PEAK + MIB, HELD),
    "footprint +1 MiB": (PEAK, HELD + MIB),
}
EXPECTED = {"unchanged": 0}


def main() -> int:
    """Print the table; 0 if every line is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=20)
    parser.add_argument("--max-seconds", default="3")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compare-power-") as folder:
        return measure(Path(folder), given.comparisons, given.max_seconds, given.jobs)


def measure(folder: Path, comparisons: int, seconds: str, jobs: int) -> int:
    for name, (peak, held) in VARIANTS.items():
        place = folder / name
        place.mkdir()
        (place / "job.py").write_text(JOB.format(peak=peak, held=held), encoding="utf-8")
    # Interleaved, so that what else the machine does meets all variants alike.
    wanted = [
        (folder / name, number, repeat)
        for number in range(comparisons)
        for repeat in range(REPEATS)
        for name in VARIANTS
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for status in pool.map(lambda item: run(item[0], item[1], item[2], seconds), wanted):
            if status != 0:
                print(f"a run ended with status {status}")
    right = True
    print(f"{'planted':<18} regressions  status 2  of")
    for name in list(VARIANTS)[1:]:
        statuses = [compare(folder / "base", folder / name, n) for n in range(comparisons)]
        found = statuses.count(1)
        print(f"{name:<18} {found:>11}  {statuses.count(2):>8}  {comparisons}")
        right &= found == EXPECTED.get(name, comparisons) and 2 not in statuses
    return 0 if right else 1


def run(place: Path, number: int, repeat: int, seconds: str) -> int:
    output = place / str(number) / f"run-{repeat}.json"
    command = [sys.executable, "-m", "leak_suite", "run", "job.py:work", "--quiet"]
    command += ["--max-seconds", seconds, "--no-attribution", "-o", str(output)]
    done = subprocess.run(command, cwd=place, stdout=subprocess.DEVNULL, check=False)
    return done.returncode


def compare(base: Path, head: Path, number: int) -> int:
    command = [sys.executable, "-m", "leak_suite", "compare", "--quiet"]
    command += [str(base / str(number)), str(head / str(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != EXPECTED.get(head.name, 1):
        print(f"{head.name} {number}: {done.stdout}{done.stderr}".rstrip())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

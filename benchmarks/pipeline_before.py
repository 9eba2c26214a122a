"""What jobs cost today against an earlier commit, run side by side: `python -m benchmarks before`.

Each version has a process with the libraries loaded that forks a child for every job, as the
service does. The two jobs of a pair begin at the same moment, so that what else the machine does
weighs on both alike; their processor times are compared, and the median of the ratios is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.pipeline_report import ROOT
from fixtures.clips import clip
from reference_app.memory.allocator import worker_environment

__all__ = ["main"]

MIB = 1024 * 1024
CLIPS = {"720p": (1280, 720, 6 * MIB), "1080p": (1920, 1080, 29 * MIB)}
#: Runs in either version: the limit on a job's memory is there only in the later one.
JOBS = """
import gc, os, shutil, sys, tempfile
from pathlib import Path
from reference_app.pipeline import Task, process
import reference_app.pipeline.preload

def job(clip, folder):
    limits = {}
    try:
        from reference_app.pipeline.budget import MIB, confine
    except ImportError:
        pass
    else:
        limits["memory_bytes"] = 188 * MIB
        confine(188 * MIB)
    assert process(Task(clip, folder, **limits)).frames > 0

print("ready", flush=True)
for line in sys.stdin:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    child = os.fork()
    if child == 0:
        try:
            job(Path(line.strip()), folder)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    shutil.rmtree(folder)
    if status:
        sys.exit("a job failed")
    print(usage.ru_utime + usage.ru_stime, flush=True)
"""


class Version:
    """A process that does jobs with the code of one tree."""

    def __init__(self, tree: Path) -> None:
        environment = {**os.environ, **worker_environment(), "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", JOBS],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def begin(self, path: Path) -> None:
        """Start a job."""
        assert self._process.stdin
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()

    def seconds(self) -> float:
        """The processor time of the job that was begun, when it is over."""
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a version ended before its job was done")
        return line


def main() -> None:
    """Compare, and print one line for each pair and each clip."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("commit", help="what to compare the working tree with")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of jobs (15)")
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS))
    options = parser.parse_args()
    with ExitStack() as stack:
        before = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive = ["git", "archive", "--format=tar", options.commit, "reference_app"]
        packed = subprocess.run(archive, cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "x", "-C", str(before)], input=packed.stdout, check=True)
        versions = [Version(before), Version(ROOT)]
        for version in versions:
            stack.callback(version.close)
        for name in options.clips:
            _compare(name, versions, options.pairs)


def _compare(name: str, versions: list[Version], pairs: int) -> None:
    width, height, size = CLIPS[name]
    path = clip(width=width, height=height, seconds=10.0, target_bytes=size).path
    costs = []
    # The first pair warms the page cache, and does not count.
    for number in range(pairs + 1):
        for version in versions if number % 2 else reversed(versions):
            version.begin(path)
        costs.append([version.seconds() for version in versions])
    ratios = sorted(after / before for before, after in costs[1:])
    print(
        f"{name}: {median(cost[0] for cost in costs[1:]):.2f} s of processor time before, "
        f"{median(cost[1] for cost in costs[1:]):.2f} now; ratio {median(ratios):.3f} "
        f"(middle half {ratios[len(ratios) // 4]:.3f} to {ratios[-1 - len(ratios) // 4]:.3f}, "
        f"{pairs} pairs)",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""`memray attach` on a job that already runs, and 10 KB at one place as the limit. Run by path.

memray's attach has no verdict of its own; the limit is that of the pytest-memray driver. The job is
called 200 times, then memray attaches, then it is called 2000 times, then memray detaches.
"""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

WARM_UP = 200
CALLS = 2000
LIMIT = 10_000


def repeat(target: str) -> None:
    """In a process of its own: call the job as often as each line of the input says."""
    from rss import load  # type: ignore[import-not-found]

    job = load(target)
    while line := _next_line():
        for _ in range(int(line)):
            job()
        gc.collect()
        print("done", flush=True)
    # Threads that never end would keep a normal exit waiting.
    os._exit(0)


def _next_line() -> str:
    # A debugger gets in at the next allocation, so there have to be some while we wait.
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        bytearray(4096)
    return sys.stdin.readline()


def main() -> None:
    """Exit with 1 where a place kept more than the limit; the places are printed, largest first."""
    target = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / "recorded.bin"
        _record(target, recorded)
        places = _places(recorded)
    for place, size in places.most_common(20):
        print("place", size, place)
    sys.stdout.flush()
    os._exit(1 if places and places.most_common(1)[0][1] > LIMIT else 0)


def _record(target: str, recorded: Path) -> None:
    command = [sys.executable, __file__, target, "repeat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as subject:
        assert subject.stdin is not None
        assert subject.stdout is not None
        attach = ["--trace-python-allocators", "-o", str(recorded)]
        steps: tuple[int | list[str], ...] = (WARM_UP, ["attach", *attach], CALLS, ["detach"])
        for step in steps:
            if isinstance(step, list):
                memray = [sys.executable, "-m", "memray", step[0], *step[1:], str(subject.pid)]
                subprocess.run(memray, check=True)
                continue
            print(step, file=subject.stdin, flush=True)
            while (line := subject.stdout.readline()) != "done\n":
                if not line:
                    sys.exit("the job ended")


def _places(recorded: Path) -> Counter[str]:
    """Bytes that are left, by the first frame that is not of a library.

    What has no such frame, or one of this file, is left out: attaching leaves some of both.
    """
    from memray import FileReader

    places: Counter[str] = Counter()
    with FileReader(recorded) as reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            frames = [f"{file}:{line} {function}" for function, file, line in record.stack_trace()]
            own = [f for f in frames if "site-packages" not in f and "/lib/python" not in f]
            if own and not own[0].startswith(__file__):
                places[own[0]] += record.size
    return places


if __name__ == "__main__":
    if sys.argv[2:] == ["repeat"]:
        repeat(sys.argv[1])
    else:
        main()

"""`python -m benchmarks.evidence [STUDY ...]`: do what has not been done, and write the figures.

Every repetition is kept as it ends, so that a run that was cut off goes on where it stopped.
Status 0 if all that was asked for is done and speaks for its claims, else 1.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.evidence.report import DATA, write
from benchmarks.evidence.studies import STUDIES
from benchmarks.evidence.study import ROOT, Done, Study, run_once

_OUT = ROOT / "reports" / "out" / "evidence"
_DONE = "done.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studies that are asked for; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        for study in STUDIES.values():
            print(f"{study.name:36} {study.repetitions:3} x  {study.claim}")
        return 0
    if unknown := set(options.study) - set(STUDIES):
        parser.error(f"no such study: {', '.join(sorted(unknown))}; --list names them")
    chosen = [STUDIES[name] for name in options.study or STUDIES]
    if options.fresh:
        for study in chosen:
            shutil.rmtree(options.out / study.name, ignore_errors=True)
    for study, number in _in_turn(chosen):
        folder = options.out / study.name / str(number)
        with _claimed(folder) as ours:
            if ours:
                _once(study, number, folder)
                write(_known(options.out))
    known = _known(options.out)
    write(known)
    right = [sum(done.as_expected for done in known.get(study.name, ())) for study in chosen]
    complete = right == [study.repetitions for study in chosen]
    print(f"figures: {DATA.relative_to(ROOT)}; {'all' if complete else 'NOT ALL'} as claimed")
    return 0 if complete else 1


def _in_turn(studies: Sequence[Study]) -> Iterator[tuple[Study, int]]:
    """Every study once before any is repeated: what is wrong shows early."""
    for number in range(max(study.repetitions for study in studies)):
        yield from ((study, number) for study in studies if number < study.repetitions)


def _once(study: Study, number: int, folder: Path) -> None:
    done = run_once(study, number, folder)
    (folder / _DONE).write_text(json.dumps(done.to_data(), indent=1), encoding="utf-8")
    word = "as claimed" if done.as_expected else f"NOT AS CLAIMED ({done.why})"
    print(f"{study.name} {number + 1}/{study.repetitions}: {word}, {done.seconds} s", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("study", nargs="*", metavar="STUDY", help="these alone")
    parser.add_argument("--list", action="store_true", help="name the studies and their claims")
    parser.add_argument("--fresh", action="store_true", help="forget what these studies have done")
    parser.add_argument("-o", "--out", type=Path, default=_OUT, help=f"folder (default: {_OUT})")
    return parser


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this repetition is ours: several processes may work on the same studies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield not (folder / _DONE).exists()


def _known(out: Path) -> dict[str, list[Done]]:
    """Every repetition that has ended, by study."""
    found: dict[str, list[Done]] = {}
    for name, study in STUDIES.items():
        files = (out / name / str(n) / _DONE for n in range(study.repetitions))
        done = [Done(**json.loads(file.read_text("utf-8"))) for file in files if file.exists()]
        if done:
            found[name] = done
    return found


if __name__ == "__main__":
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())

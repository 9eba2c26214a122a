"""Explains each planted program several times: `python -m benchmarks remedies`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leak_suite.explain import Explanation
from leak_suite.result_file import read_explanation

__all__ = ["PLANTED", "Planted", "main"]

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Planted:
    """A program, the word that it must get, what the remedy must say, and which one must work.

    `best` is empty where no remedy that is tried may work: what is in use cannot be freed, and the
    page cache is not the program's. A leak grows with `grows_with`.
    """

    name: str
    words: tuple[str, ...]
    word: str
    remedy: str
    best: str
    grows_with: str = ""


def _job(name: str) -> tuple[str, ...]:
    return (f"{_HERE / name}.py:job",)


PLANTED: Sequence[Planted] = (
    Planted("arenas", _job("arenas"), "allocator", "MALLOC_ARENA_MAX=2", "MALLOC_ARENA_MAX=2"),
    Planted(
        "fork_copies",
        (
            *("--workload", f"{_HERE / 'workload.py'}:ask", "--"),
            *(sys.executable, str(_HERE / "fork_copies.py"), "{port}"),
        ),
        "fork copies",
        "gc.freeze()",
        "gc.freeze() before fork",
    ),
    Planted("page_cache", _job("page_cache"), "page cache", "posix_fadvise", ""),
    Planted("native", _job("native"), "leak", "native.py:15", "", "work"),
    Planted("clock", _job("clock"), "leak", "clock.py", "", "clock"),
    Planted("steady", _job("steady"), "steady", "", ""),
)


def main(words: Sequence[str] | None = None) -> int:
    """0 if each program got its word and its remedy each time, else 1."""
    arguments = _parser().parse_args(words)
    right = True
    print(f"{'program':<12} {'word':<26} {'remedy':<22} growth")
    for planted in PLANTED:
        if arguments.only not in (None, planted.name):
            continue
        found = list(_explanations(planted, arguments))
        named = sum(one is not None and one.word.value == planted.word for one in found)
        helped = sum(one is not None and _is_right(one, planted, arguments.tried) for one in found)
        right = right and named == helped == len(found)
        growth = [
            f"{(one.readings[-1].total - one.readings[0].total) / 2**20:.0f}"
            for one in found
            if one is not None
        ]
        print(
            f"{planted.name:<12} {f'{planted.word} {named} of {len(found)}':<26} "
            f"{f'{helped} of {len(found)}':<22} {', '.join(growth)} MiB",
            flush=True,
        )
        for one in found:
            if one is None or one.word.value != planted.word:
                said = "not explained" if one is None else f"{one.word.value}: {one.verdict}"
                print(f"  {said}", flush=True)
    return 0 if right else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks remedies", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=[one.name for one in PLANTED])
    parser.add_argument("--tried", action="store_true", help="try the remedies too")
    parser.add_argument("--max-seconds", default="30", help="of the verdict of each")
    return parser


def _is_right(found: Explanation, planted: Planted, tried: bool) -> bool:
    text = "\n".join([found.remedy, *found.remedy_lines])
    kind = "" if found.growth is None else found.growth.kind
    if kind != planted.grows_with:
        return False
    return planted.remedy in text and (not tried or found.best == planted.best)


def _explanations(planted: Planted, arguments: argparse.Namespace) -> Iterator[Explanation | None]:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.repeat):
            path = Path(folder) / f"{number}.json"
            own = ["--quiet", "--max-seconds", arguments.max_seconds, "-o", str(path)]
            own += ["--try-remedies"] if arguments.tried else []
            command = (sys.executable, "-m", "leak_suite", "explain", *own, *planted.words)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 2:
                print(done.stderr.strip() or done.stdout.strip(), file=sys.stderr)
            yield read_explanation(path)


if __name__ == "__main__":
    sys.exit(main())

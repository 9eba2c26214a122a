"""Measure where the time of `leak-suite run` goes: `python -m benchmarks profile [CASE ...]`.

Each case is run in a process of its own, in which the phases are timed. A case is one of the
catalogue of web applications or workers that needs no Redis, or `callable` or `clean_callable`,
which take microseconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.catalogue.case import Case
from benchmarks.catalogue.start import LEAKY, surroundings
from benchmarks.catalogue.web.cases import CASES as WEB
from benchmarks.catalogue.workers.cases import CASES as WORKERS
from benchmarks.leakbench.tables import markdown

__all__ = ["main"]

DEFAULT = ("clean_callable", "callable", "fastapi_search_cache", "gunicorn_sync_flask")
CALLABLES = {
    "callable": "SEEN = []\ndef job():\n    SEEN.append(bytes(200))\n",
    "clean_callable": "def job():\n    bytes(200)\n",
}
TIMED = (
    ("leak_suite.runner.runner", "Runner.warm_up", "warm-up"),
    ("leak_suite.checks.check", "_measure", "measuring"),
    ("leak_suite.checks.check", "_judged", "judging"),
    ("leak_suite.checks.check", "_attributed", "trace"),
    ("leak_suite.checks.check", "_settled", "settling"),
)
"""What is timed, and the name of its phase; some lie within others."""
COLUMNS = (
    "case", "interpreter and imports", "start", "of it self-check", "warm-up", "workload",
    "readings", "judging", "trace", "watching after it", "report", "all",
)  # fmt: skip


def main() -> None:
    """Print the seconds of each phase as a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", default=DEFAULT, metavar="CASE")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given, words = parser.parse_known_args()
    if given.child:
        _child(Path(given.child[0]), float(given.child[1]), [*given.cases, *words])
        return
    rows = [(name, *(f"{seconds:.2f}" for seconds in _phases(name))) for name in given.cases]
    print(markdown(COLUMNS, rows))


def _phases(name: str) -> list[float]:
    """The seconds of each column but the first."""
    with tempfile.TemporaryDirectory() as folder:
        if name in CALLABLES:
            (Path(folder) / "jobs.py").write_text(CALLABLES[name], encoding="utf-8")
            case = Case(name, "", Path(folder), ("jobs.py:job",), None, ("memory",), 200.0)
        else:
            (case,) = (one for one in (*WEB, *WORKERS) if one.name == name)
        with surroundings(case, LEAKY) as (_, environment):
            report = Path(folder) / "run.json"
            here = str(Path(__file__).resolve().parents[1])
            child = [sys.executable, "-m", "benchmarks.time_profile", "--child", str(report)]
            subprocess.run(
                [*child, str(time.time()), "--", *case.arguments()],
                cwd=case.folder,
                env={**environment, "PYTHONPATH": here},
                stdout=subprocess.DEVNULL,
                check=True,
            )
            spent = Counter(json.loads(report.with_suffix(".spent").read_text()))
    judged = spent["measuring"] + spent["trace"] + spent["settling"]
    return [
        spent["imports"],
        spent["measuring begins"] - spent["imports"],
        spent["self-check"],
        spent["warm-up"],
        spent["workload"],
        spent["measuring"] - spent["warm-up"] - spent["workload"] - spent["judging"],
        spent["judging"],
        spent["trace"],
        spent["settling"],
        spent["whole"] - spent["measuring begins"] - judged,
        spent["whole"],
    ]


def _child(report: Path, began: float, words: list[str]) -> None:
    """Run `leak-suite run` with these words, and write the seconds of each phase."""
    from leak_suite.cli import main as run

    spent: dict[str, float] = {}
    for module, name, phase in TIMED:
        _time(module, name, spent, phase, began)
    spent["imports"] = time.time() - began
    run(["run", "-o", str(report), "--max-seconds", "60", *words])
    spent["whole"] = time.time() - began
    spent["workload"] = json.loads(report.read_text(encoding="utf-8"))["seconds"]
    session = importlib.import_module("leak_suite.agent.session").Session(tempfile.gettempdir())
    begins = time.monotonic()
    session.self_check()
    spent["self-check"] = time.monotonic() - begins
    report.with_suffix(".spent").write_text(json.dumps(spent), encoding="utf-8")


def _time(module: str, name: str, spent: dict[str, float], phase: str, epoch: float) -> None:
    """Have a function or a method add its seconds to those of a phase, and say when it began."""
    owner: Any = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **more: Any) -> Any:
        spent.setdefault(f"{phase} begins", time.time() - epoch)
        began = time.monotonic()
        try:
            return original(*arguments, **more)
        finally:
            spent[phase] = spent.get(phase, 0.0) + time.monotonic() - began

    setattr(owner, name, timed)


if __name__ == "__main__":
    main()

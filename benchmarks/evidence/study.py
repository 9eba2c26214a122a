"""What a study is, and what one repetition of it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Done", "Figures", "Study", "run_once"]

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 30.0

Figures = dict[str, float]


@dataclass(frozen=True)
class Study:
    """A claim, and the command that shows or refutes it, as often as it takes.

    `command` is given a seed and a folder of its own. `figures` reads what the command left in
    that folder, `output.txt` with all that it printed among it, and raises `ValueError` where the
    run did not do what it claims. `expected` is the status that speaks for the claim.
    """

    name: str
    claim: str
    command: Callable[[int, Path], list[str]]
    figures: Callable[[Path], Figures]
    repetitions: int = 1
    expected: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    minutes: float = 10.0


@dataclass(frozen=True)
class Done:
    """One repetition; `why` says what it did that does not speak for the claim, if anything."""

    study: str
    number: int
    seed: int
    status: int
    seconds: float
    date: str
    commit: str
    figures: Figures
    why: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether it speaks for the claim."""
        return not self.why

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def run_once(study: Study, number: int, folder: Path) -> Done:
    """Run a study's command once; never raises for what the command does."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = 1000 + number
    began = time.monotonic()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    commit = _commit()
    status = _status(study, seed, folder)
    seconds = round(time.monotonic() - began, 1)
    why = "" if status == study.expected else f"status {status} in place of {study.expected}"
    figures: Figures = {}
    try:
        figures = study.figures(folder)
    except (OSError, ValueError, KeyError, LookupError) as error:
        why = why or f"{type(error).__name__}: {error}"
    return Done(study.name, number, seed, status, seconds, date, commit, figures, why)


def _status(study: Study, seed: int, folder: Path) -> int:
    words = study.command(seed, folder)
    words = [sys.executable, "-m", *words]
    environment = {**os.environ, "NO_COLOR": "1", **study.environment}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            return process.wait(study.minutes * 60)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(_STOP_SECONDS)


def _commit() -> str:
    """The commit under test, with a plus where the tree has changes, but for these figures."""
    head = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/evidence.*")
    return head + ("+" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()

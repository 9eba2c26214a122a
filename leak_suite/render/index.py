"""The page over the runs of one gate: a verdict for each, and where its own page is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from leak_suite.errors import ConfigurationError, RunFileError
from leak_suite.fsutil import write_whole
from leak_suite.render.html_page import fill, html, seconds, worst
from leak_suite.render.summary import (
    WORST_FIRST,
    format_site,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Outcome, RunResult
from leak_suite.result_file import Result, result_from_json

__all__ = ["Entry", "index", "write_pages"]


@dataclass(frozen=True)
class Entry:
    """One run of the gate: its name, the link to its page, and the result or why there is none."""

    name: str
    href: str
    result: Result | None = None
    problem: str = ""

    @property
    def outcome(self) -> Outcome:
        """The run's outcome; a run that cannot be read was not judged."""
        return Outcome.INCONCLUSIVE if self.result is None else self.result.outcome

    @property
    def word(self) -> str:
        """What that outcome is called."""
        return self.outcome.value if self.result is None else outcome_name(self.result)

    @property
    def why(self) -> str:
        """The sentence of the verdict."""
        return self.problem if self.result is None else verdict_sentence(self.result)

    @property
    def sites(self) -> tuple[str, ...]:
        """The first site of the run."""
        if not isinstance(self.result, RunResult):
            return ()
        named = (f.sites[0] for f in sorted_findings(self.result) if f.sites)
        return tuple(format_site(site) for site in named)[:1]

    @property
    def iterations(self) -> str:
        """How many iterations it took."""
        return "" if self.result is None else f"{self.result.iterations:,}"

    @property
    def seconds(self) -> str:
        """How long they took."""
        return "" if self.result is None else seconds(self.result.seconds)


@dataclass(frozen=True)
class Overview:
    """The page as its template sees it."""

    title: str
    outcome: Outcome
    why: str
    rows: tuple[Entry, ...]


def index(entries: Sequence[Entry]) -> str:
    """The page over these runs, the worst first."""
    outcome, why = worst([entry.outcome for entry in entries])
    ordered = sorted(entries, key=lambda entry: (WORST_FIRST.index(entry.outcome), entry.name))
    page = Overview(f"{outcome.value}: {why} · leak-suite", outcome, why, tuple(ordered))
    return fill("index.html.j2", page=page)


def write_pages(folder: Path, output: Path | None = None) -> Outcome:
    """A page for each run file of `folder` and index.html over them; the outcome of all.

    They are written to `output`, or beside the run files. JSON files of another kind are left
    alone; a run file that cannot be read counts as not judged. ConfigurationError if there is none.
    """
    target = output or folder
    entries = [entry for path in sorted(folder.glob("*.json")) if (entry := _entry(path))]
    if not entries:
        raise ConfigurationError(
            f"{folder}: there is no run file in it; write one with leak-suite run … -o"
        )
    target.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if entry.result is not None:
            write_whole(target / f"{entry.name}.html", html(entry.result))
    write_whole(target / "index.html", index(entries))
    return worst([entry.outcome for entry in entries])[0]


def _entry(path: Path) -> Entry | None:
    try:
        text = path.read_text(encoding="utf-8")
        if not _is_run_file(text):
            return None
        return Entry(path.stem, quote(f"{path.stem}.html"), result_from_json(text))
    except (OSError, UnicodeDecodeError, RunFileError) as error:
        return Entry(path.stem, "", problem=f"the run file cannot be read: {error}")


def _is_run_file(text: str) -> bool:
    """Whether this is meant to be a run file; broken JSON might have become one."""
    try:
        data = json.loads(text)
    except ValueError:
        return True
    return isinstance(data, dict) and "schema_version" in data and "subject" in data

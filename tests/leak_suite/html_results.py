"""A result for tests of HTML pages, and a parser of the pages."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.places import Place
from leak_suite.result import Cause, Details, Finding, Outcome, RunResult, Series, Site

__all__ = ["FDS", "HEAP", "MIB", "RESULT", "SITE", "Page", "charts_of", "ramp"]

MIB = 1024**2
SITE = Site(
    "src/jobs.py",
    12,
    "run",
    1044.0,
    (Place("src/jobs.py", 12, "run"), Place("src/app.py", 7, "go")),
    "in KEPT",
)
HEAP = Finding(
    "heap",
    "bytes",
    Outcome.GROWING,
    Cause.LEAK,
    rate=1044.0,
    interval=(1034.0, 1054.0),
    detectable_rate=12.3,
    longest_period=400,
    peak=45.0 * MIB,
    clauses=(
        Clause(ClauseKind.GREW, value=3e6, rate=1044.0, iterations=2900),
        Clause(ClauseKind.SITES_TRACED, iterations=100, of=200),
        Clause(ClauseKind.SITES_BY, text="memray"),
    ),
    sites=(SITE,),
)
FDS = Finding(
    "fds",
    "descriptors",
    Outcome.STABLE,
    rate=0.0,
    interval=(0.0, 0.0),
    clauses=(Clause(ClauseKind.STAYED, value=7.0, of=2900),),
)


def ramp(metric: str, unit: str, rate: float, count: int = 30, start: float = 4e7) -> Series:
    return Series(metric, unit, tuple((100 * k, start + 100 * k * rate) for k in range(count)), 4)


RESULT = RunResult(
    "jobs:run",
    {"python": "3.11.7", "allocator_settings": {"MALLOC_ARENA_MAX": "1"}},
    Outcome.GROWING,
    3000,
    3.2,
    series=(ramp("fds", "descriptors", 0.0, start=7), ramp("heap", "bytes", 1044.0)),
    findings=(FDS, HEAP),
    details=Details(blind={"tasks": "no loop"}, evidence={"fds": ((3, "a"), (4, "b"), (5, "a"))}),
)


class Page(HTMLParser):
    """The elements of a page, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def charts_of(page: str) -> dict[str, dict]:
    text = re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)
    return json.loads(text[1])["charts"]

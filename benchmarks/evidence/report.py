"""The figures as docs/evidence.json, and as the table of docs/evidence.md made from it."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.studies import STUDIES
from benchmarks.evidence.study import ROOT, Done, Study

__all__ = ["DATA", "PAGE", "page_with", "write"]

DATA = ROOT / "docs" / "evidence.json"
PAGE = ROOT / "docs" / "evidence.md"
_BEGIN, _END = "<!-- studies -->", "<!-- end of studies -->"


def write(known: Mapping[str, Sequence[Done]]) -> None:
    """Renew the entries of the studies that are known, and the page; others stay as they are."""
    data = _read()
    for name, done in known.items():
        data["studies"][name] = _entry(STUDIES[name], done)
    data["studies"] = {name: data["studies"][name] for name in STUDIES if name in data["studies"]}
    _replace(DATA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    _replace(PAGE, page_with(PAGE.read_text(encoding="utf-8"), data))


def page_with(page: str, data: Mapping[str, Any]) -> str:
    """The page with the table of these figures between its marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = ["| claim | runs as claimed | figures | seconds a run |", "|---|---|---|---|"]
    rows += [_row(entry) for entry in data["studies"].values()]
    return f"{before}{_BEGIN}\n" + "\n".join(rows) + f"\n{_END}{after}"


def _read() -> dict[str, Any]:
    if DATA.exists():
        data: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
        return data
    return {"version": 1, "studies": {}}


def _entry(study: Study, done: Sequence[Done]) -> dict[str, Any]:
    seconds = [one.seconds for one in done]
    return {
        "claim": study.claim,
        "wanted": study.repetitions,
        "done": len(done),
        "as_claimed": sum(one.as_expected for one in done),
        "not_as_claimed": [f"{one.number}: {one.why}" for one in done if not one.as_expected],
        "seeds": [one.seed for one in done],
        "dates": [min(one.date for one in done), max(one.date for one in done)],
        "commits": sorted({one.commit for one in done}),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "seconds": {"median": statistics.median(seconds), "most": max(seconds)},
        "figures": _figures(done),
    }


def _figures(done: Sequence[Done]) -> dict[str, dict[str, float]]:
    """Least, median and most of every figure, over the runs that spoke for the claim."""
    names = list(dict.fromkeys(name for one in done if one.as_expected for name in one.figures))
    found: dict[str, dict[str, float]] = {}
    for name in names:
        values = [one.figures[name] for one in done if one.as_expected and name in one.figures]
        found[name] = {
            "least": _rounded(min(values)),
            "median": _rounded(statistics.median(values)),
            "most": _rounded(max(values)),
        }
    return found


def _row(entry: Mapping[str, Any]) -> str:
    figures = "; ".join(
        f"{name} {_span(each)}" for name, each in entry["figures"].items() if name != "skipped"
    )
    runs = f"{entry['as_claimed']} of {entry['wanted']}"
    if entry["not_as_claimed"]:
        runs += f" ({len(entry['not_as_claimed'])} not)"
    return f"| {entry['claim']} | {runs} | {figures} | {entry['seconds']['median']:,.0f} |"


def _span(figure: Mapping[str, float]) -> str:
    if figure["least"] == figure["most"]:
        return f"{figure['most']:,g}"
    return f"{figure['least']:,g} to {figure['most']:,g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if value % 1 else value


def _replace(file: Path, text: str) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)

"""Run files of schema version 1 as those of version 2: prose and open details become fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["upgraded"]

_NO_DETAILS: Mapping[str, Any] = {
    "warm_up_iterations": 0,
    "rounds": 0,
    "overhead": None,
    "overhead_seconds": None,
    "gc_frozen": 0,
    "blind": {},
    "tolerances": {},
    "budgets": {},
    "iteration": "",
    "attribution_error": "",
    "flamegraph_error": "",
}
_CONVERTED = {"self_check", "unseen", "stopped", "evidence", "command", "flamegraphs"}
_CAUSES = {
    "leak",
    "allocator retention",
    "plateau",
    "first use",
    "cycle",
    "peak",
    "too few samples",
    "blind probe",
    "too noisy for the run's length",
    "still unsettled",
    "stopped early",
    "shared pages",
}
_SITES = " Sites: "  # what attribution added to a reason began like this
_NO_SITES = " No line is named"


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same run in version 2.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it is not a run file of version 1.
    """
    return {
        **data,
        "schema_version": 2,
        "series": [{"process": "", **series} for series in data["series"]],
        "findings": [_finding(finding) for finding in data["findings"]],
        "details": _details(data["details"]),
        "agents": None,
    }


def _finding(data: Mapping[str, Any]) -> dict[str, Any]:
    finding = {
        **data,
        "cause": data["cause"] if data["cause"] in _CAUSES else "",
        "clauses": _clauses(data["metric"], _reason(data)),
        "sites": [{**site, "share": None, "holder": "", "process": ""} for site in data["sites"]],
        "process": data.get("process", ""),
        "per_process": {},
    }
    if data["cause"].startswith("accepted: "):
        finding["cause"] = "accepted"
        text = data["cause"].removeprefix("accepted: ")
        finding["clauses"].insert(0, {"kind": "accepted", "text": text})
    return finding


def _reason(data: Mapping[str, Any]) -> str:
    """The sentence of the verdict; an acceptance stood before it, and as the cause."""
    cause, reason = str(data["cause"]), str(data["reason"])
    if cause.startswith("accepted: "):
        return reason.removeprefix(f"{cause}. ").removeprefix(cause)
    return reason or ("" if cause in _CAUSES else cause)


def _clauses(metric: str, reason: str) -> list[dict[str, Any]]:
    """The sentence of the verdict and what attribution had added to it."""
    begin = min((at for mark in (_SITES, _NO_SITES) if (at := reason.find(mark)) >= 0), default=-1)
    judged, sites = (reason, "") if begin < 0 else (reason[:begin], reason[begin:].strip())
    clauses = []
    if judged:
        named = judged.startswith(f"{metric} ")
        kind = "old reason" if named else "text"
        clauses.append({"kind": kind, "text": judged.removeprefix(f"{metric} ")})
    if sites:
        clauses.append({"kind": "old sites", "text": sites})
    return clauses


def _details(data: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: data.get(name) or default for name, default in _NO_DETAILS.items()}
    flamegraphs = data.get("flamegraphs") or {}
    if not isinstance(flamegraphs, Mapping):
        flamegraphs = {str(path).rpartition("/")[2]: str(path) for path in flamegraphs}
    command = data.get("command") or []
    return {
        **known,
        "self_check": {
            name: dict(zip(("shown", "seen", "problem"), check, strict=True))
            for name, check in (data.get("self_check") or {}).items()
        },
        "not_observed": list(data.get("unseen") or ()),
        "stopped": data.get("stopped") or "",
        "evidence": {
            metric: [row if isinstance(row, list) else [row] for row in rows]
            for metric, rows in (data.get("evidence") or {}).items()
        },
        "command": command.split() if isinstance(command, str) else list(command),
        "flamegraphs": dict(flamegraphs),
        "extra": {k: v for k, v in data.items() if k not in _NO_DETAILS and k not in _CONVERTED},
    }

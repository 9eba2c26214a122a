"""A fit as a terminal shows it: the answer, what was used, who died, and how small it can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from leak_suite.render.paper import Paper
from leak_suite.render.words import outcome_word
from leak_suite.result import Outcome, RunResult
from leak_suite.units import format_duration, format_value

__all__ = ["fit_console", "fit_facts"]

_STYLES = {Outcome.STABLE: "bold green", Outcome.INCONCLUSIVE: "bold yellow"}
_KINDS = (("anon", "anonymous"), ("file", "file (page cache)"), ("kernel", "kernel"))


def fit_console(result: RunResult, *, width: int = 80, colour: bool = False) -> str:
    """The whole answer, no line wider than `width`; plain text unless `colour`."""
    terminal = Paper(width=width, colour=colour)
    head = Text(outcome_word(result).upper())
    head.stylize(_STYLES.get(result.outcome, "bold red"))
    terminal.print(head.append(f": {result.reason}", "none"))
    for line in _lines(result, result.details["fit"]):
        terminal.print(Text(line, overflow="fold"))
    return terminal.text()


def fit_facts(result: RunResult) -> Iterator[tuple[str, str]]:
    """What a fit comes to: the limit, the peak under it, the headroom, the smallest limit."""
    fit = result.details["fit"]
    how = fit["enforced_by"] if fit["enforced"] else "not enforced"
    yield "limit", f"{_bytes(fit['limit'])} ({how})"
    peak = fit["peak"]
    yield "peak", _bytes(peak["pss"] if peak["held"] is None else peak["held"])
    if fit["enforced"] and fit["headroom"] is not None:
        yield "headroom", _bytes(fit["headroom"])
    if fit["minimum"] is not None:
        least = fit["minimum"]["bytes"]
        yield (
            "smallest limit that passes",
            "none that was tried" if least is None else _bytes(least),
        )


def _lines(result: RunResult, fit: Mapping[str, Any]) -> Iterator[str]:
    yield f"{result.subject}, {result.iterations:,} iterations in {format_duration(result.seconds)}"
    limit = f"limit set by {fit['enforced_by']}, swap {fit['swap']}"
    yield f"{limit if fit['enforced'] else 'no limit was set'}, {fit['users']} users"
    for way, why in fit["refused_ways"].items():
        yield f"  {way} did not work: {why}"
    yield ""
    yield from _peaks(fit)
    if fit["slowdown"] is not None:
        yield f"{'pace':<22}{fit['slowdown']:.2f} times the seconds it takes without a limit"
    for one in fit["killed"]:
        who = "the server" if one["is_server"] else "a process under the server"
        yield f"killed: {who}, pid {one['pid']}, at {_bytes(one['anon'])}: {one['command']}"
    yield from _minimum(fit)
    if fit["cold"] is not None:
        cold = fit["cold"]
        yield ""
        yield (
            f"page cache dropped by {cold['method']}; of {_bytes(cold['bytes'])} in "
            f"{cold['files']} files {_bytes(cold['still_cached'])} stayed, mapped by others"
        )


def _peaks(fit: Mapping[str, Any]) -> Iterator[str]:
    peak = fit["peak"]
    for name, said in _KINDS:
        yield f"{'peak ' + said:<26}{_bytes(peak[name]):>12}"
    yield f"{'peak that cannot go':<26}{_bytes(peak['held']):>12}"
    yield f"{'peak PSS of all':<26}{_bytes(peak['pss']):>12}"
    if fit["enforced"] and fit["headroom"] is not None:
        yield f"{'headroom':<26}{_bytes(fit['headroom']):>12}  (limit - {fit['headroom_from']})"


def _minimum(fit: Mapping[str, Any]) -> Iterator[str]:
    found = fit["minimum"]
    if found is None:
        return
    yield ""
    if found["bytes"] is None:
        yield "no limit that was tried passes"
    else:
        yield (
            f"smallest limit that passes: {_bytes(found['bytes'])} "
            f"(to {_bytes(found['tolerance'])})"
        )
    for trial in found["trials"]:
        word = "passes" if trial["passed"] else trial["how"]
        yield f"  {_bytes(trial['limit']):>10}  {word}, {trial['iterations']} iterations"


def _bytes(value: float | None) -> str:
    return format_value(value, "bytes")

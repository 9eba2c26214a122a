"""The gates that are compared: how each is called, and how its answer is read. One table."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.leakbench.process import Ended
from benchmarks.leakbench.score import GROWING, NO_VERDICT, STABLE, ToolAnswer

__all__ = ["TOOLS", "Tool"]

_DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class Tool:
    """A gate. `extras` is what the case's environment needs for it.

    `command(target, python, report)` is the call, `read(ended, report)` its meaning.
    """

    extras: tuple[str, ...]
    command: Callable[[str, str, Path], list[str]]
    read: Callable[[Ended, Path], ToolAnswer]
    environment: Mapping[str, str] = field(default_factory=dict)


def _harness(*flags: str) -> Callable[[str, str, Path], list[str]]:
    def command(target: str, python: str, report: Path) -> list[str]:
        here = [sys.executable, "-m", "leak_suite", "run", target]
        return [*here, "--python", python, "-o", str(report), *flags]

    return command


def _read_harness(ended: Ended, report: Path, *, lines: bool = True) -> ToolAnswer:
    if ended.status is None:
        return ToolAnswer(NO_VERDICT, note=ended.stopped)
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ToolAnswer(NO_VERDICT, note=f"no run file; {_last(ended.errors or ended.output)}")
    growing = [f for f in data["findings"] if f["outcome"] == GROWING]
    word = {GROWING: GROWING, STABLE: STABLE}.get(data["outcome"], NO_VERDICT)
    expected = {GROWING: 1, STABLE: 0, NO_VERDICT: 2}[word]
    if ended.status != expected:
        return ToolAnswer(NO_VERDICT, note=f"{data['outcome']}, but exit status {ended.status}")
    return ToolAnswer(
        word,
        metrics=tuple(f["metric"] for f in growing),
        sites=tuple(_site(site) for finding in growing for site in finding["sites"]),
        names_metrics=True,
        names_lines=lines,
        note=_why(data, word),
        verdict_seconds=data["seconds"],
    )


def _site(site: Mapping[str, Any]) -> str:
    return f"{site['file']}:{site['line']} {site['function']}"


def _why(data: Mapping[str, Any], word: str) -> str:
    if word != NO_VERDICT:
        return ""
    undecided = [f for f in data["findings"] if f["outcome"] not in (GROWING, STABLE)]
    reasons = [f"{f['metric']}: {f['reason'] or f['cause']}" for f in undecided]
    return "; ".join([data["reason"], *reasons]).strip("; ")[:500]


def _driver(name: str) -> Callable[[str, str, Path], list[str]]:
    def command(target: str, python: str, report: Path) -> list[str]:
        del report
        return [python, str(_DRIVERS / name), target]

    return command


def _read_status(ended: Ended, report: Path) -> ToolAnswer:
    """0 is stable, 1 growing, anything else no verdict."""
    del report
    if ended.status is None:
        return ToolAnswer(NO_VERDICT, note=ended.stopped)
    if ended.status not in (0, 1):
        return ToolAnswer(NO_VERDICT, note=_last(ended.errors or ended.output))
    return ToolAnswer(GROWING if ended.status else STABLE)


_PSLEAK_METRICS = {
    "UnclosedFdError": ("fds",),
    "UnclosedPythonThreadError": ("threads",),
    "UnclosedNativeThreadError": ("threads",),
    "UncollectableGarbageError": ("garbage",),
}


def _read_psleak(ended: Ended, report: Path) -> ToolAnswer:
    plain = _read_status(ended, report)
    finding = re.search(r"^finding (\w+)", ended.output, re.MULTILINE)
    if plain.outcome != GROWING:
        return plain
    if finding is None:
        return ToolAnswer(NO_VERDICT, note=_last(ended.errors))
    kind = finding.group(1)
    metrics = _PSLEAK_METRICS.get(kind, _psleak_memory(ended.output))
    return ToolAnswer(GROWING, metrics=metrics, names_metrics=True, note=kind)


def _psleak_memory(output: str) -> tuple[str, ...]:
    """The metrics that were still growing in the last of its rounds."""
    rounds = [line for line in output.splitlines() if "Run #" in line]
    names = re.findall(r"(\w+)=\+", rounds[-1]) if rounds else []
    as_ours = {"heap": "heap", "mmap": "heap", "uss": "rss", "rss": "rss"}
    return tuple(dict.fromkeys(as_ours[name] for name in names if name in as_ours))


def _read_pytest_memray(ended: Ended, report: Path) -> ToolAnswer:
    plain = _read_status(ended, report)
    if plain.outcome != GROWING:
        return plain
    if "location leaked more" not in ended.output:
        return ToolAnswer(NO_VERDICT, note=_last(ended.output))
    return ToolAnswer(GROWING, sites=_memray_sites(ended.output), names_lines=True)


_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _memray_sites(output: str) -> tuple[str, ...]:
    """The first frame with a file of each place, the largest place first."""
    places: list[tuple[float, str]] = []
    for block in re.split(r"^\s+- (?=[\d.]+\s?\w+ allocated here:)", output, flags=re.MULTILINE)[
        1:
    ]:
        size, unit = re.match(r"([\d.]+)\s?(\w+)", block).groups()  # type: ignore[union-attr]
        frames = re.findall(r"^\s+(\S.*?):(/[^:]+\.py):(\d+)$", block, re.MULTILINE)
        frames = [f for f in frames if "site-packages" not in f[1] and "/lib/python" not in f[1]]
        if frames:
            function, file, line = frames[0]
            places.append((float(size) * _UNITS.get(unit, 1), f"{file}:{line} {function}"))
    return tuple(site for _, site in sorted(places, key=lambda place: -place[0]))


def _read_leak_hunter(ended: Ended, report: Path) -> ToolAnswer:
    plain = _read_status(ended, report)
    if plain.outcome != GROWING:
        return plain
    if "Objects accumulating" not in ended.output:
        return ToolAnswer(NO_VERDICT, note=_last(ended.errors))
    # Paths below the working directory are shortened to be relative to it.
    found = re.findall(r"^  (\S+):(\d+)  \+.* KiB per call", ended.output, re.MULTILINE)
    sites = tuple(f"{Path(file).resolve()}:{line}" for file, line in found)
    return ToolAnswer(GROWING, sites=sites, names_lines=True)


def _read_memray_attach(ended: Ended, report: Path) -> ToolAnswer:
    plain = _read_status(ended, report)
    if plain.outcome != GROWING:
        return plain
    places = re.findall(r"^place \d+ (.*)$", ended.output, re.MULTILINE)
    if not places:
        return ToolAnswer(NO_VERDICT, note=_last(ended.errors))
    return ToolAnswer(GROWING, sites=tuple(places), names_lines=True)


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " | ".join(lines[-2:])[-400:]


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "leak-suite": Tool((), _harness(), _read_harness),
        "verdict-only": Tool((), _harness("--no-attribution"), partial(_read_harness, lines=False)),
        "psleak": Tool(
            ("psleak==0.1.6", "psutil==7.2.2"),
            _driver("with_psleak.py"),
            _read_psleak,
            {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"},
        ),
        "pytest-memray": Tool(
            ("pytest-memray==1.11.0", "pytest"),
            _driver("with_pytest_memray.py"),
            _read_pytest_memray,
        ),
        "leak-hunter": Tool(
            ("python-leak-hunter==0.1.1",), _driver("with_leak_hunter.py"), _read_leak_hunter
        ),
        "memray-attach": Tool(
            ("memray==1.20.0",), _driver("with_memray_attach.py"), _read_memray_attach
        ),
        "rss": Tool((), _driver("rss.py"), _read_status),
    }
)

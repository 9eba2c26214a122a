"""The test that fails while a leak of a run file is there, and passes once it is fixed."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from leak_suite.errors import ConfigurationError
from leak_suite.fsutil import file_name
from leak_suite.result import Finding, RunResult
from leak_suite.subject import AppSpec, CallableSpec, CommandSpec
from leak_suite.units import format_rate

__all__ = ["write_proof"]

_DIGITS = 3
_TEST = '''"""{title}

{story}
"""

from pathlib import Path

import pytest

from leak_suite import check
from leak_suite.compare import unproved
from leak_suite.options import resolve
from leak_suite.subject import {kind}

ROOT = Path(__file__).resolve().parents[{depth}]
LEAKS = [
{leaks}]
"""What grew per iteration before the fix, by metric; each line is one cause."""


def test_{name}_stays_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    options = resolve({options}, ROOT, workload={workload})
    result = check({spec}, options)
    # Says something too where the run was too short to have seen a tenth of these leaks.
    why = unproved(result, LEAKS)
    assert not why, why
'''


def write_proof(
    result: RunResult,
    causes: Sequence[Sequence[Finding]],
    spec: CallableSpec | AppSpec | CommandSpec,
    options: Mapping[str, Any],
    run_file: Path,
    root: Path,
    path: Path | None = None,
) -> Path:
    """Write the test to `path`, by default into `root`/tests, and return where it is.

    `causes` are the findings that grow, grouped by cause; `spec` and `options` (flags by name) are
    those of the run, started in the folder `root`.

    Raises:
        ConfigurationError: no test can be written of this run; nothing is written then.
    """
    if not any(finding.rate for cause in causes for finding in cause):
        raise ConfigurationError(
            f"{run_file} is {result.outcome.value}: nothing grows in it that a fix could end"
        )
    name = file_name(_workload(spec).rpartition(":")[2]) or "workload"
    target = (path or root / "tests" / f"test_leak_{name}.py").absolute()
    if target.exists():
        raise ConfigurationError(
            f"{target} exists already, and nothing is overwritten: move it away, or give -o PATH"
        )
    if not target.is_relative_to(root.absolute()):
        raise ConfigurationError(f"-o: {target} is not in this folder, where the run was started")
    depth = len(target.relative_to(root.absolute()).parts) - 1
    text = _text(result, causes, spec, options, run_file, name, depth)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


def _text(
    result: RunResult,
    causes: Sequence[Sequence[Finding]],
    spec: CallableSpec | AppSpec | CommandSpec,
    options: Mapping[str, Any],
    run_file: Path,
    name: str,
    depth: int,
) -> str:
    story = [f"{_grew(cause)}." for cause in causes if any(finding.rate for finding in cause)]
    written = f"`leak-suite init --from {run_file.name}` wrote this."
    leaks = [
        "    {" + ", ".join(f'"{f.metric}": {_rounded(f.rate)}' for f in cause if f.rate) + "},\n"
        for cause in causes
        if any(finding.rate for finding in cause)
    ]
    return _TEST.format(
        title=f"The leak of {result.subject} does not come back.",
        story="\n".join(textwrap.wrap(" ".join([*story, written]), 96)),
        kind=type(spec).__name__,
        depth=depth,
        leaks="".join(leaks),
        name=name,
        options=_literal(options),
        workload=_literal(_workload(spec)),
        spec=_source(spec),
    )


def _grew(cause: Sequence[Finding]) -> str:
    first = next(finding for finding in cause if finding.rate)
    text = f"{first.metric} grew by {format_rate(first.rate, first.unit)}"
    for site in first.sites[:1]:
        if site.file:
            text += f" at line {site.line} of {Path(site.file).name}"
            text += f" ({site.function})" if site.function else ""
        text += f", held by {site.holder}" if site.holder else ""
    return text


def _rounded(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 ** (_DIGITS - 1) else f"{rate:.{_DIGITS}g}"


def _workload(spec: CallableSpec | AppSpec | CommandSpec) -> str:
    if isinstance(spec, CallableSpec):
        return spec.target
    return spec.workload or ""


def _source(spec: Any) -> str:
    """The call that makes an equal spec; fields that have their default are left out."""
    words = []
    for item in fields(spec):
        value = getattr(spec, item.name)
        if item.default is MISSING:
            words.append(_literal(value))
        elif value != item.default:
            words.append(f"{item.name}={_literal(value)}")
    return f"{type(spec).__name__}({', '.join(words)})"


def _literal(value: Any) -> str:
    """The value as Python source, with the quotes that formatters use."""
    if isinstance(value, Path):
        return f"Path({_literal(str(value))})"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(_literal, value))
        comma = "," if len(value) == 1 and isinstance(value, tuple) else ""
        return f"({inner}{comma})" if isinstance(value, tuple) else f"[{inner}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in value.items())
        return f"{{{pairs}}}"
    return repr(value)

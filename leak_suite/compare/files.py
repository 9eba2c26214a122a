"""Run files and baselines on disk: read either as profiles, and write baselines.

A baseline is a small JSON file for each workload, rounded so that what did not change gives no
difference, and holding no path or name of the machine that it was made on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leak_suite.compare.profile import (
    Growth,
    Level,
    Profile,
    environment_difference,
    profile,
)
from leak_suite.errors import ConfigurationError, RunFileError
from leak_suite.fsutil import file_name, write_whole
from leak_suite.result import Outcome, RunResult

__all__ = ["KIND", "SCHEMA_VERSION", "profiles", "read_runs", "update_baselines"]

KIND = "leak-suite baseline"
SCHEMA_VERSION = 1
_DIGITS = 4
_ENVIRONMENT = (
    "platform", "machine", "implementation", "python", "gil", "libc", "allocator",
    "allocator_settings",
)  # fmt: skip


def profiles(path: Path) -> tuple[Profile, ...]:
    """The workloads of a run file, a baseline, or a folder of either.

    Run files of the same workload are repeats. JSON files of other kinds are left alone; one that
    cannot be read is an error: it might have been the regression.
    """
    runs: list[RunResult] = []
    kept: list[Profile] = []
    for file in _files(path):
        data = _json(file)
        if isinstance(data, dict) and data.get("kind") == KIND:
            kept.append(_read_baseline(file, data))
        elif not path.is_dir() or _is_run(data):
            runs.append(RunResult.read(file))
    found = [profile(group) for group in _by_subject(runs)]
    doubled = {one.subject for one in kept} & {one.subject for one in found}
    if doubled:
        raise ConfigurationError(f"{path}: {min(doubled)} is there as run files and as a baseline")
    names = [one.subject for one in kept]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigurationError(
            f"{path}: {min(twice)} has more than one baseline there; keep one of the files"
        )
    if not found and not kept:
        raise ConfigurationError(
            f"{path}: there is no run file and no baseline in it; "
            "write a run file with leak-suite run … -o RUN.json"
        )
    return (*kept, *found)


def read_runs(paths: Iterable[Path]) -> tuple[RunResult, ...]:
    """The run files among `paths`, which may be folders of them."""
    return tuple(
        RunResult.read(file)
        for path in paths
        for file in _files(path)
        if not path.is_dir() or _is_run(_json(file))
    )


def update_baselines(runs: Sequence[RunResult], folder: Path) -> tuple[Path, ...]:
    """Write a baseline for each workload of `runs`, or none at all where one is refused."""
    if not runs:
        raise ConfigurationError("there is no run file to make a baseline from")
    made: dict[Path, Profile] = {}
    for group in _by_subject(runs):
        one = profile(group)
        if one.unclear:
            raise ConfigurationError(f"{one.subject} cannot be a baseline: {one.unclear}")
        made[folder / f"{file_name(one.subject)}.json"] = one
    for path, one in made.items():
        _refuse_another(path, one)
    for path, one in made.items():
        write_whole(path, _baseline(one))
    return tuple(made)


def _refuse_another(path: Path, one: Profile) -> None:
    if not path.exists():
        return
    known = _read_baseline(path, _json(path))
    if known.subject != one.subject:
        raise ConfigurationError(f"{path} is the baseline of {known.subject}, not {one.subject}")
    if what := environment_difference(known.environment, one.environment):
        raise ConfigurationError(
            f"{path} was made on another platform: they are of different {what}. "
            "Keep a folder for each (-o), or delete the file to begin anew"
        )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.json"))
    return [path]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFileError(f"{path}: neither a run file nor a baseline: {error}") from error


def _is_run(data: Any) -> bool:
    """Whether this is meant to be a run file that can be compared; those of `fit` cannot."""
    if not isinstance(data, dict) or "schema_version" not in data or "subject" not in data:
        return False
    return "kind" not in data and "fit" not in (data.get("details") or {})


def _by_subject(runs: Iterable[RunResult]) -> list[list[RunResult]]:
    groups: dict[str, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(run.workload, []).append(run)
    return list(groups.values())


def _baseline(one: Profile) -> str:
    data = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "subject": one.subject,
        "runs": one.runs,
        "environment": {key: one.environment.get(key) for key in _ENVIRONMENT},
        "levels": {name: _level_data(level) for name, level in sorted(one.levels.items())},
        "growth": _growth_data(one.growth),
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _level_data(level: Level) -> dict[str, Any]:
    return {
        "unit": level.unit,
        "value": round(level.value),
        "spread": None if level.spread is None else _rounded(level.spread),
        "noise": _rounded(level.noise),
        "runs": level.runs,
    }


def _growth_data(growth: Mapping[str, Growth]) -> dict[str, Any]:
    """Growing metrics with their rate; the names of the others."""
    data: dict[str, Any] = {}
    for outcome in (Outcome.STABLE, Outcome.INCONCLUSIVE):
        data[outcome.value] = sorted(m for m, known in growth.items() if known.outcome is outcome)
    data[Outcome.GROWING.value] = {
        metric: {
            "unit": known.unit,
            "rate": None if known.rate is None else _rounded(known.rate),
            "error": _rounded(known.error),
        }
        for metric, known in sorted(growth.items())
        if known.outcome is Outcome.GROWING
    }
    return data


def _growth_of(data: Mapping[str, Any]) -> dict[str, Growth]:
    found = {
        metric: Growth("", outcome)
        for outcome in (Outcome.STABLE, Outcome.INCONCLUSIVE)
        for metric in data[outcome.value]
    }
    growing = data[Outcome.GROWING.value]
    return found | {metric: Growth(outcome=Outcome.GROWING, **g) for metric, g in growing.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _read_baseline(path: Path, data: Any) -> Profile:
    if not isinstance(data, Mapping) or data.get("kind") != KIND:
        raise RunFileError(f"{path}: not a baseline")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise RunFileError(
            f"{path}: a baseline of version {data.get('schema_version')}; this release reads "
            f"version {SCHEMA_VERSION}. Make it anew with leak-suite baseline update"
        )
    try:
        return Profile(
            subject=data["subject"],
            environment=data["environment"],
            runs=data["runs"],
            levels={name: Level(**level) for name, level in data["levels"].items()},
            growth=_growth_of(data["growth"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFileError(
            f"{path}: not a baseline of version {SCHEMA_VERSION}: {error}"
        ) from error

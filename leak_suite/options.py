"""Every option of a run in one frozen object, and the one place where it is put together.

A flag wins over a workload's own table, that over `[tool.leak_suite]` in pyproject.toml, and that
over the default. Lists and tables are joined; single values are replaced.
"""

from __future__ import annotations

import difflib
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from leak_suite.errors import ConfigurationError
from leak_suite.known_leaks import KNOWN_LEAKS
from leak_suite.metrics.table import METRICS
from leak_suite.units import GIB, parse_duration, parse_size

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found,no-redef,unused-ignore]

__all__ = ["Accepted", "Layer", "Options", "resolve"]


@dataclass(frozen=True)
class Accepted:
    """A known leak of somebody else's code that does not fail the gate, with its reason.

    `pattern` is a glob over frames written as "file:line function". `max_per_iteration` (in the
    metric's unit) and the last day `expires` bound what is accepted. An entry of `KNOWN_LEAKS` by
    its name, `known`, brings these with it, and counts for the versions that leak.
    """

    pattern: str
    reason: str
    max_per_iteration: float | None = None
    expires: date | None = None
    known: str = ""

    def covers(self, frames: Iterable[str], rate: float | None, today: date) -> bool:
        """Whether growth of `rate` from a site with these frames is accepted on that day."""
        if self.expires is not None and today > self.expires:
            return False
        if self.max_per_iteration is not None and (rate is None or rate > self.max_per_iteration):
            return False
        return any(fnmatchcase(frame, self.pattern) for frame in frames)


@dataclass(frozen=True)
class Options:
    """What a run may spend, what it looks at beyond the usual metrics, and how it reports.

    A `soak` uses the whole time even where all is stable, and ends early only for what is not.
    `budgets` bound a metric's level, `tolerances` its growth per iteration, both in its unit.
    `filling_allowance` are the bytes that a container with a bound may take when it is full, where
    the metric has no budget.
    """

    max_seconds: float = 60.0
    soak: bool = False
    max_growth_bytes: int = GIB
    max_threads: int = 200
    filling_allowance: int = GIB // 2
    python: Path | None = None
    tracked: tuple[str, ...] = ()
    counters: Mapping[str, str] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)
    accepted: tuple[Accepted, ...] = ()
    attribution: bool = True
    isolate: bool = False
    inconclusive: str = "fail"
    output: Path | None = None
    quiet: bool = False
    json: bool = False


@dataclass(frozen=True)
class Layer:
    """Option values from one place, and that place's name for error messages."""

    source: str
    values: Mapping[str, Any]


def resolve(
    flags: Mapping[str, Any], root: Path, *, workload: str = "", layers: Sequence[Layer] = ()
) -> Options:
    """The options of one run of `workload` started in the folder `root`.

    `layers` (weakest first) stand between pyproject.toml and the flags. A flag of None was not
    given. ConfigurationError names the place and the option that cannot be used.
    """
    options = Options()
    given = Layer("command line", {k: v for k, v in flags.items() if v is not None})
    for layer in (*_file_layers(root, workload), *layers, given):
        options = _apply(options, layer, root)
    _refuse_unknown_metrics(options)
    return options


def _positive(number: float, value: object) -> float:
    if not number > 0 or math.isinf(number):
        raise ValueError(f"{value!r} must be above zero")
    return number


def _bytes(value: object) -> int:
    return int(_positive(parse_size(value), value))


def _count(value: object) -> int:
    return int(_positive(_integer(value), value))


def _integer(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", text):
        raise ValueError(f"{value!r} is not a whole number")
    return int(text)


def _flag(value: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither true nor false") from None


def _inconclusive(value: object) -> str:
    if value not in ("fail", "warn"):
        raise ValueError(f'{value!r} must be "fail" or "warn"')
    return str(value)


def _path(value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError(f"{value!r} is not a path")
    return Path(value).expanduser()


def _lines(value: object) -> tuple[str, ...]:
    items = value.splitlines() if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        raise ValueError(f"{value!r} is not a list")
    return tuple(str(item).strip() for item in items if str(item).strip())


def _targets(value: object) -> tuple[str, ...]:
    return tuple(_target(item) for item in _lines(value))


def _target(value: object) -> str:
    module, _, name = str(value).rpartition(":")
    if not module or not name.replace(".", "_").isidentifier():
        raise ValueError(f"{value!r} must be written module:name")
    return str(value)


def _pairs(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    pairs = {}
    for line in _lines(value):
        name, equals, rest = line.partition("=")
        if not equals or not name.strip() or not rest.strip():
            raise ValueError(f"{line!r} must be written name=value")
        pairs[name.strip()] = rest.strip()
    return pairs


def _counters(value: object) -> dict[str, str]:
    return {name: _target(target) for name, target in _pairs(value).items()}


def _sizes(value: object) -> dict[str, float]:
    return {metric: parse_size(size) for metric, size in _pairs(value).items()}


def _accepted(value: object) -> tuple[Accepted, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("write it as a list of tables with pattern and reason")
    return tuple(item if isinstance(item, Accepted) else _acceptance(item) for item in value)


def _acceptance(table: Mapping[str, Any]) -> Accepted:
    if not isinstance(table, Mapping):
        raise ValueError(f"{table!r} is not a table with pattern and reason")
    names = [item.name for item in fields(Accepted)]
    for key in table:
        if key not in names:
            raise ValueError(f"unknown key {key!r}{_nearest(key, names)}")
    table = {**_of_known_leak(str(table.get("known", ""))), **table}
    for key in ("pattern", "reason"):
        if not str(table.get(key, "")).strip():
            which = (
                f" {table['known']}, which leaves no frame of its own," if "known" in table else ""
            )
            raise ValueError(f"every accepted leak{which} needs a {key}")
    limit, expires = table.get("max_per_iteration"), table.get("expires")
    return Accepted(
        pattern=str(table["pattern"]),
        reason=str(table["reason"]),
        max_per_iteration=None if limit is None else parse_size(limit),
        expires=date.fromisoformat(expires) if isinstance(expires, str) else expires,
        known=str(table.get("known", "")),
    )


def _of_known_leak(name: str) -> dict[str, Any]:
    """What an entry that names a known leak need not say."""
    if not name:
        return {}
    leak = KNOWN_LEAKS.get(name)
    if leak is None:
        raise ValueError(f"no leak is known as {name!r}{_nearest(name, KNOWN_LEAKS)}")
    return {"pattern": leak.pattern, "reason": leak.reason, "max_per_iteration": leak.most}


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "max_seconds": parse_duration,
    "soak": _flag,
    "max_growth_bytes": _bytes,
    "max_threads": _count,
    "filling_allowance": _bytes,
    "python": _path,
    "tracked": _targets,
    "counters": _counters,
    "budgets": _sizes,
    "tolerances": _sizes,
    "accepted": _accepted,
    "attribution": _flag,
    "isolate": _flag,
    "inconclusive": _inconclusive,
    "output": _path,
    "quiet": _flag,
    "json": _flag,
}


def _apply(options: Options, layer: Layer, root: Path) -> Options:
    for key, raw in layer.values.items():
        name = key.replace("-", "_")
        if name not in _PARSERS:
            hint = _nearest(name, _PARSERS)
            raise ConfigurationError(f"{layer.source}: unknown option {key!r}{hint}")
        try:
            value = _PARSERS[name](raw)
        except ValueError as error:
            raise ConfigurationError(f"{layer.source}: {key}: {error}") from error
        if name == "python":
            value = _interpreter(value, layer, root)
        options = replace(options, **{name: _join(getattr(options, name), value)})
    return options


def _join(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping):
        return {**old, **new}
    if isinstance(old, tuple):
        return (*old, *(item for item in new if item not in old))
    return new


def _interpreter(path: Path, layer: Layer, root: Path) -> Path:
    """Where that interpreter is; links are kept, since a virtual environment's python is one."""
    beside = root / path
    found = shutil.which(beside) or (shutil.which(path) if len(path.parts) == 1 else None)
    if found is None:
        raise ConfigurationError(f"{layer.source}: python: no interpreter at {path}")
    return Path(found).absolute()


def _file_layers(root: Path, workload: str) -> tuple[Layer, ...]:
    """`[tool.leak_suite]` of the nearest pyproject.toml, then the table of this workload in it."""
    folder = root.absolute()
    path = next(
        (p for d in (folder, *folder.parents) if (p := d / "pyproject.toml").is_file()), None
    )
    if path is None:
        return ()
    table = _read_table(path)
    workloads = table.pop("workloads", {})
    if not all(isinstance(item, Mapping) for item in (workloads, *workloads.values())):
        raise ConfigurationError(f"{path}: write workloads as [tool.leak_suite.workloads.NAME]")
    layers = [Layer(f"{path} [tool.leak_suite]", table)]
    for name in dict.fromkeys((workload.rpartition(":")[2], workload)):
        if name in workloads:
            source = f"{path} [tool.leak_suite.workloads.{name}]"
            layers.append(Layer(source, workloads[name]))
    return tuple(_beside_file(layer, path.parent) for layer in layers)


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table = (
            tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("leak_suite", {})
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: write the options as the table [tool.leak_suite]")
    return dict(table)


def _beside_file(layer: Layer, folder: Path) -> Layer:
    """A relative path in a file means a path beside that file, wherever the run was started."""
    values = dict(layer.values)
    for key in ("python", "output"):
        path = values.get(key)
        if isinstance(path, str) and len(Path(path).parts) > 1:
            values[key] = str(folder / Path(path).expanduser())
    return Layer(layer.source, values)


def _refuse_unknown_metrics(options: Options) -> None:
    known = {*METRICS, *(f"counter:{name}" for name in options.counters)}
    known |= {f"tracked:{target.rpartition(':')[2]}" for target in options.tracked}
    for name in ("budgets", "tolerances"):
        for metric in getattr(options, name):
            if metric not in known:
                hint = _nearest(metric, known)
                raise ConfigurationError(f"{name}: unknown metric {metric!r}{hint}")


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"

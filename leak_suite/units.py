"""Numbers with units: how sizes, counts, rates and durations are written and read."""

from __future__ import annotations

import math
import re

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "display_unit",
    "format_duration",
    "format_number",
    "format_rate",
    "format_value",
    "parse_duration",
    "parse_size",
    "unit_for",
]

KIB, MIB, GIB = 1024, 1024**2, 1024**3

_BYTE_UNITS = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
_NEXT_UNIT = 1 - 0.5 / 1024  # 1023.6 KiB would be written as 1,024 KiB; it is written as 1 MiB
_SINGULARS = {"processes": "process", "count": "count", "bytes": "byte"}
# A count that grows more slowly than this is easier to read as "one in so many iterations".
_RARE = 0.2
_NEVER = 1e-12  # too small to be anything but rounding
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def format_number(value: float) -> str:
    """Three significant digits, every digit before the point, thousands apart: `1,234`, `0.0042`.

    The one rule for numbers in every report.
    """
    if math.isfinite(value) and (abs(value) >= 100 or value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def format_value(value: float | None, unit: str) -> str:
    """A value in `unit`: `1.5 MiB`, `12 descriptors`, `1 process`; an unknown one is `?`."""
    if value is None:
        return "?"
    size, name = display_unit(value, unit)
    number = format_number(value / size)
    return f"{number} {name if unit == 'bytes' else unit_for(number, unit)}".rstrip()


def format_rate(value: float | None, unit: str) -> str:
    """Growth of `value` in `unit` per iteration: `1.02 KiB per iteration`; `` if unknown.

    Counts that seldom grow are written as one in so many: `1 thread every 500 iterations`.
    """
    if value is None:
        return ""
    if unit != "bytes" and _NEVER < value < _RARE:
        return f"{format_value(1, unit)} every {format_number(round(1 / value))} iterations"
    return f"{format_value(value, unit)} per iteration"


def format_duration(seconds: float) -> str:
    """Seconds to a tenth, less than one second to two digits: `115.7 s`, `0.042 s`."""
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds:.2g} s"


def unit_for(number: str, unit: str) -> str:
    """The unit as it stands behind a written number: `process` behind `1`, else `processes`."""
    return _SINGULARS.get(unit, unit.removesuffix("s")) if number == "1" else unit


def display_unit(value: float, unit: str) -> tuple[float, str]:
    """(size, name) of the unit that a value in `unit` is written in; 1 for what is not bytes."""
    if unit != "bytes":
        return 1.0, unit
    for size, name in _BYTE_UNITS:
        if abs(value) >= size * _NEXT_UNIT:
            return float(size), name
    return 1.0, "B"


def parse_size(value: object) -> float:
    """Bytes of "260 MiB", "1.5G", "4096" or a number; KB, MB and GB mean powers of 1024 too.

    Raises:
        ValueError: it is not a size, or negative or infinite.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not value >= 0 or math.isinf(value):
            raise ValueError(f"{value!r} must not be negative")
        return float(value)
    match = re.fullmatch(r"\s*([\d_]+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", str(value), re.IGNORECASE)
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a size; write it like 260MiB or 4096")
    return float(match[1]) * float(1024 ** " KMGT".index(match[2].upper() or " "))


def parse_duration(value: object) -> float:
    """Seconds of "90", "90s", "500ms", "2 min", "1h" or a number.

    Raises:
        ValueError: it is not a duration, or not above zero, or infinite.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value).lower())
        if match is None or match[2] not in _SECONDS:
            raise ValueError(f"{value!r} is not a duration; write it like 90s, 500ms or 2min")
        seconds = float(match[1]) * _SECONDS[match[2]]
    if not seconds > 0 or math.isinf(seconds):
        raise ValueError(f"{value!r} must be above zero")
    return seconds

"""Numbers for a person: bytes as KiB and MiB, counts with their unit."""

from __future__ import annotations

__all__ = ["amount", "number", "rate_of"]


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def amount(value: float, unit: str) -> str:
    """A quantity with its unit: `1.5 MiB`, `12 fds`."""
    if unit != "bytes":
        said = number(value)
        return f"{said} {_one(unit) if said == '1' else unit}".rstrip()
    for size, name in ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB")):
        if abs(value) >= size:
            return f"{number(round(value / size, 2))} {name}"
    return f"{number(value)} B"


def _one(unit: str) -> str:
    """The unit of a single one: `1 task`, `1 process`."""
    return unit.removesuffix("es") if unit.endswith("sses") else unit.removesuffix("s")


def rate_of(value: float, unit: str) -> str:
    """A rate in words; rare growth as one in so many iterations."""
    if unit != "bytes" and 0 < value < 0.2:
        return f"{amount(1, unit)} every {number(round(1 / value))} iterations"
    return f"{amount(value, unit)} per iteration"

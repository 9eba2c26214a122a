"""The colours of reports, once for style sheet and charts; tests hold their contrast."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PARTS", "PART_COLOURS", "THEMES", "style"]

THEMES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "page": "#f5f6f8",
        "surface": "#ffffff",
        "text": "#1b1f24",
        "muted": "#57606a",
        "line": "#d4d9e0",
        "accent": "#0b57a4",
        "bad": "#b3261e",
        "bad-wash": "#fbe9e7",
        "warn": "#855300",
        "warn-wash": "#fdf2dc",
        "good": "#17693a",
        "good-wash": "#e5f4ea",
        "reading": "#0b57a4",
        "warm-up": "#6b7580",
        "warm-wash": "#eceff3",
        "fit": "#b3261e",
        "band": "rgba(179,38,30,0.16)",
        "tolerance": "#6f42a6",
        "grid": "#e6e9ee",
    },
    "dark": {
        "page": "#0f1318",
        "surface": "#171c23",
        "text": "#e6eaf0",
        "muted": "#9aa6b4",
        "line": "#303944",
        "accent": "#74b7ff",
        "bad": "#ff8d83",
        "bad-wash": "#3a1d1c",
        "warn": "#f0bb52",
        "warn-wash": "#37290f",
        "good": "#66d394",
        "good-wash": "#14301f",
        "reading": "#74b7ff",
        "warm-up": "#8a96a3",
        "warm-wash": "#1f262f",
        "fit": "#ff8d83",
        "band": "rgba(255,141,131,0.2)",
        "tolerance": "#c5a3ff",
        "grid": "#262e38",
    },
}

PART_COLOURS: Mapping[str, tuple[str, ...]] = {
    "light": (
        *("#0b57a4", "#c2571a", "#17693a", "#8a3ffc", "#b3261e", "#00727d"),
        *("#7a6200", "#6b7580", "#b0388b", "#3d4a5c"),
    ),
    "dark": (
        *("#74b7ff", "#ff9f5c", "#66d394", "#c5a3ff", "#ff8d83", "#4fd3df"),
        *("#e3c24d", "#9aa6b4", "#ff9bd9", "#ccd6e2"),
    ),
}
PARTS = len(PART_COLOURS["light"])
"""How many colours there are for the parts of a bar; they repeat beyond that."""


def style() -> str:
    """Custom properties of both themes; print is always light."""
    light, dark = (_properties({**THEMES[name], **_parts(name)}) for name in ("light", "dark"))
    boxes = "".join(f".part-{n} {{ background: var(--part-{n}); }}\n" for n in range(PARTS))
    night = f":root {{ color-scheme: dark; {dark} }}"
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ {night} }}\n{boxes}"
    )


def _parts(theme: str) -> Mapping[str, str]:
    return {f"part-{number}": colour for number, colour in enumerate(PART_COLOURS[theme])}


def _properties(theme: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in theme.items())

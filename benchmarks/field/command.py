"""The command line of the field study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.field.packages import PACKAGES
from benchmarks.field.study import ROOT, judged, saved, table

__all__ = ["main", "parser"]

RESULTS = ROOT / "docs" / "field-study.json"
PAGE = ROOT / "docs" / "field-study.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"


NAMES = tuple(package.name for package in PACKAGES)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks field",
        description="The gate on releases of well-known packages, each in its own environment.",
    )
    made.add_argument("package", nargs="*", help=f"any of: {', '.join(NAMES)} (default: all)")
    made.add_argument("--keep", type=Path, metavar="DIR", help="keep the run files there")
    made.add_argument("--write", action="store_true", help="renew docs/field-study.*")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Judge the packages named; 0 unless a release could not be run."""
    options = parser().parse_args(words)
    for name in options.package:
        if name not in NAMES:
            parser().error(f"{name} is not in the study; there are: {', '.join(NAMES)}")
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    rows = []
    for package in PACKAGES:
        if options.package and package.name not in options.package:
            continue
        for release in package.releases:
            row = judged(package, release, options.keep)
            rows.append(row)
            print(f"{row.package} {row.version}: {row.outcome}, {row.seconds:.1f} s, "
                  f"{row.line} {row.said}", flush=True)  # fmt: skip
    if options.write:
        whole = table(saved(RESULTS, rows))
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{whole}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return int(any(row.outcome == "failed" for row in rows))

"""The picture of docs/verdicts.md: what share of leaks is caught, by their size and rarity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["Shares", "draw"]

Shares = Mapping[float, float]


def draw(
    picture: Path, by_size: Mapping[str, Shares], by_rarity: Mapping[str, Shares], title: str
) -> None:
    """Two plots beside one another, a line for each name."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    for name, shares in by_size.items():
        left.plot(*_percent(shares), marker="o", label=name)
    left.set_xscale("log", base=2)
    left.set(xlabel="heap leak, bytes per iteration (0.3 ms a call)", ylabel="caught, %")
    for name, shares in by_rarity.items():
        right.plot(*_percent(shares), marker="o", label=name)
    right.set_xscale("log")
    right.set(xlabel="iterations per leaked descriptor")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.tight_layout()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _percent(shares: Shares) -> tuple[list[float], list[float]]:
    return list(shares), [100 * share for share in shares.values()]

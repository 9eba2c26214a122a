"""A result's file under a name of its own until it is whole."""

from __future__ import annotations

from pathlib import Path

__all__ = ["partial_path", "publish"]


def partial_path(path: Path) -> Path:
    """Where `path` is written before it is whole; the suffix stays, for encoders go by it."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def publish(path: Path) -> None:
    """Give the finished file its name, in one step."""
    partial_path(path).replace(path)

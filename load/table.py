"""The outcome of a load run as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["table"]


def table(outcome: Mapping[str, Any]) -> str:
    """One line an invariant, what went wrong beneath it."""
    checks = outcome["checks"]
    width = max((len(check["name"]) for check in checks), default=0)
    lines = [
        f"  {outcome['uploads']} uploads, {outcome['jobs']} jobs, {outcome['rounds']} rounds, "
        f"{outcome['seconds']:g} s; view: {outcome['view']}"
    ]
    for check in checks:
        seen = f"{check['seen']:>6}" if check["seen"] else "     -"
        lines.append(f"  {check['name']:<{width}} {seen}  {check['state']}")
        lines += [f"      {detail}" for detail in check["details"]]
    lines += [f"  broken: {reason}" for reason in outcome["broken"]]
    return "\n".join(lines)

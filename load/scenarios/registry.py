"""The scenarios by name. Each file of this package registers its own; `__init__` imports them."""

from __future__ import annotations

from typing import TypeVar

from load.scenarios.base import Scenario

__all__ = ["SCENARIOS", "register"]

SCENARIOS: dict[str, type[Scenario]] = {}

_S = TypeVar("_S", bound=type[Scenario])


def register(scenario: _S) -> _S:
    """Make a scenario known by its `name`: to `python -m load`, and to Locust."""
    if scenario.name in SCENARIOS:
        raise ValueError(f"two scenarios are called {scenario.name!r}")
    SCENARIOS[scenario.name] = scenario
    return scenario

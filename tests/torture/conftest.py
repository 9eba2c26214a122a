"""How much torture: a seeded sample by default, everything with `--torture full`."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Plan:
    """What this run is to do."""

    full: bool
    seed: int
    k: int | None
    kind: str | None

    def amount(self, sampled: int, full: int) -> int:
        """How often something random is repeated."""
        return full if self.full else sampled

    def random(self, name: str) -> random.Random:
        """Chance that can be had again: by the seed and by what it is for."""
        return random.Random(f"{self.seed}/{name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture")
    group.addoption("--torture", choices=("sampled", "full"), help="a sample, or everything")
    group.addoption("--torture-seed", type=int, help="repeat the sample of that run")
    group.addoption("--torture-k", type=int, help="let this one call fail, of all that can")
    group.addoption("--torture-kind", help="let it fail in this way alone")


def plan_of(config: pytest.Config) -> Plan:
    """The options; the environment stands in where pytest was not started on this folder."""
    scope = config.getoption("torture", None) or os.environ.get("TORTURE", "sampled")
    seed = config.getoption("torture_seed", None) or os.environ.get("TORTURE_SEED")
    if not hasattr(config, "_torture_seed"):
        config._torture_seed = int(seed) if seed else random.SystemRandom().randrange(10**6)  # type: ignore[attr-defined]
    return Plan(
        full=scope == "full",
        seed=config._torture_seed,  # type: ignore[attr-defined]
        k=config.getoption("torture_k", None),
        kind=config.getoption("torture_kind", None),
    )


@pytest.fixture(scope="session")
def plan(pytestconfig: pytest.Config) -> Plan:
    return plan_of(pytestconfig)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    chosen = plan_of(config)
    scope = "full" if chosen.full else "sampled"
    terminalreporter.write_line(f"torture: {scope}, --torture-seed {chosen.seed}")

"""How many faults to inject: a seeded sample by default, everything with `--fault-scope full`."""

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

    def repeats(self, sampled: int, full: int) -> int:
        """How often something random is repeated."""
        return full if self.full else sampled

    def random(self, name: str) -> random.Random:
        """Chance that can be had again: by the seed and by what it is for."""
        return random.Random(f"{self.seed}/{name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fault injection")
    group.addoption("--fault-scope", choices=("sampled", "full"), help="a sample, or everything")
    group.addoption("--fault-seed", type=int, help="repeat the sample of that run")
    group.addoption("--fault-call", type=int, help="let this one call fail, of all that can")
    group.addoption("--fault-kind", help="let it fail in this way alone")


def plan_of(config: pytest.Config) -> Plan:
    """The options; the environment stands in where pytest was not started on this folder."""
    scope = config.getoption("fault_scope", None) or os.environ.get("FAULT_SCOPE", "sampled")
    seed = config.getoption("fault_seed", None) or os.environ.get("FAULT_SEED")
    if not hasattr(config, "_fault_seed"):
        config._fault_seed = int(seed) if seed else random.SystemRandom().randrange(10**6)  # type: ignore[attr-defined]
    return Plan(
        full=scope == "full",
        seed=config._fault_seed,  # type: ignore[attr-defined]
        k=config.getoption("fault_call", None),
        kind=config.getoption("fault_kind", None),
    )


@pytest.fixture(scope="session")
def plan(pytestconfig: pytest.Config) -> Plan:
    return plan_of(pytestconfig)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    chosen = plan_of(config)
    scope = "full" if chosen.full else "sampled"
    terminalreporter.write_line(f"fault injection: {scope}, --fault-seed {chosen.seed}")

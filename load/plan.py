"""What one load run is to do: the plan, which travels to Locust in environment variables."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["MIB", "ROOT", "LoadPlan"]

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[1]
_PREFIX = "LOAD_"
_OLD_STALL = "LOAD_PATIENCE_SECONDS"


@dataclass(frozen=True)
class LoadPlan:
    """Limits that the service has to keep, how long to load it, and where things are.

    The limits are stated here and not asked of the service: one that allows itself more than it
    should would otherwise be measured by its own word.
    """

    scenario: str = ""
    slots: int = 2
    pending: int = 10
    max_upload_mb: int = 30
    #: How often the scenario is repeated; 0 is the scenario's own number.
    rounds: int = 0
    #: Begin no new round after so long; 0 is no such limit.
    seconds: float = 0.0
    #: `small` files come padded to their size, `real` ones are filled with pictures.
    clips: str = "small"
    #: When no job has moved for so long, those that have not ended count as lost.
    stall_seconds: float = 60.0
    #: /health has to answer faster than this, 99 times of 100.
    health_ms: float = 100.0
    #: How long memory may take to come back once the load has ended.
    recovery_seconds: float = 60.0
    #: How much more memory the tree may hold after the load than before, as a share of it.
    recovery_share: float = 0.10
    #: Of a service on this machine: its processes, its spool folder, the file of pressure_app.
    #: Several processes are divided by commas; each is looked at with all that it started.
    pids: str = ""
    spool: str = ""
    memory_pressure: str = ""
    #: Of a service with several processes that have a port: where each of them is, by commas.
    hosts: str = ""
    #: Where the run may read what became of each job: PostgreSQL and S3, as the service has them.
    database_url: str = ""
    storage_url: str = ""
    #: How many Locust processes make the load; 0 is one, which is also the one that judges.
    load_workers: int = 0
    out: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the service's processes can be looked at, or only its answers."""
        return bool(self.pids)

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """Where the service's processes are; none where there is one, which Locust knows."""
        return tuple(filter(None, self.hosts.split(",")))

    @property
    def max_upload_bytes(self) -> int:
        """The largest file that has to be taken."""
        return self.max_upload_mb * MIB

    @property
    def folder(self) -> Path:
        """Where everything that this run finds is written."""
        return Path(self.out) if self.out else ROOT / "reports" / "out" / f"load-{self.scenario}"

    def to_environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads."""
        return {_PREFIX + field.name.upper(): str(getattr(self, field.name)) for field in _FIELDS}

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> LoadPlan:
        """The plan that the variables LOAD_SCENARIO, LOAD_SLOTS … describe."""
        variables = _renamed(os.environ if variables is None else variables)
        given: dict[str, Any] = {}
        for field in _FIELDS:
            name = _PREFIX + field.name.upper()
            if variables.get(name):
                try:
                    given[field.name] = _KINDS[str(field.type)](variables[name])
                except ValueError:
                    raise ValueError(f"{name}={variables[name]!r}: give {field.type}") from None
        return cls(**given)


def _renamed(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables with a deprecated name replaced by the one of today."""
    if _OLD_STALL not in variables:
        return variables
    message = f"{_OLD_STALL} is deprecated; use LOAD_STALL_SECONDS"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return {"LOAD_STALL_SECONDS": variables[_OLD_STALL], **variables}


_FIELDS = fields(LoadPlan)
_KINDS: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}

"""The scenarios in one table; Locust imports them, nothing else does."""

from __future__ import annotations

from collections.abc import Mapping

from load.scenarios.abort import Abort
from load.scenarios.base import LoadUser
from load.scenarios.cancel import Cancel
from load.scenarios.concurrency import Concurrency
from load.scenarios.hostile import Hostile
from load.scenarios.rejection import Rejection
from load.scenarios.traffic import Burst, Soak, Steady

__all__ = ["SCENARIOS"]

SCENARIOS: Mapping[str, type[LoadUser]] = {
    "concurrency": Concurrency,
    "rejection": Rejection,
    "steady": Steady,
    "burst": Burst,
    "abort": Abort,
    "cancel": Cancel,
    "soak": Soak,
    "hostile": Hostile,
}

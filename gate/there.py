"""What clients do while the process that is measured is not the one that they talk to.

A worker has no port: these workloads find its service by GATE_URL.
"""

from __future__ import annotations

import os
from functools import cache

import httpx

from gate import workloads

__all__ = ["URL", "cancelled_job", "failed_job", "finished_job"]

URL = "GATE_URL"


def finished_job() -> None:
    """See `gate.workloads`."""
    workloads.finished_job(_client(os.environ[URL]))


def failed_job() -> None:
    """See `gate.workloads`."""
    workloads.failed_job(_client(os.environ[URL]))


def cancelled_job() -> None:
    """See `gate.workloads`."""
    workloads.cancelled_job(_client(os.environ[URL]))


@cache
def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60.0)

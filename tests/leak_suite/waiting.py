"""Waiting for what other processes do, within a bound; and which of them have an agent by then."""

from __future__ import annotations

import time
from collections.abc import Callable

from leak_suite.subject.agents import AgentHub, AgentLink

__all__ = ["WAIT_SECONDS", "agents_in", "until"]

WAIT_SECONDS = 30.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; it is looked at again every 10 ms."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def agents_in(hub: AgentHub) -> dict[int, AgentLink]:
    """The agents that are there now, by process id."""
    return {link.life.pid: link for link in hub.links()}

"""Which scenario has to find out which broken service (`fixtures/broken_services.py`), and how."""

from __future__ import annotations

from load import invariants

__all__ = ["PROMISES"]

PROMISES = (
    ("concurrency", "three_slots", invariants.SLOTS),
    ("concurrency", "eleven_pending", invariants.PLACES),
    ("concurrency", "no_retry_after", invariants.RETRY_AFTER),
    ("concurrency", "lost_job", invariants.LOST),
    ("concurrency", "slot_lost_on_failure", invariants.LOST),
    ("concurrency", "slow_health", invariants.HEALTH),
    ("cancel", "slot_lost_on_cancel", "a cancelled job is free within 2 s"),
    ("scaled", "lost_job", invariants.LOST),
    ("scaled", "job_ends_twice", invariants.ONCE),
)
"""A scenario, a service that it has to find out in a single round, and the broken invariant."""

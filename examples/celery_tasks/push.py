"""One task into the queue, and its result out of it; repeated by leak-suite."""

from __future__ import annotations

from tasks import invoice


def push() -> None:
    """Ask for an invoice of a hundred lines, and wait until it is written."""
    assert invoice.delay(100).get(timeout=20) == 100

"""What holds for every test: Ctrl-C reaches what a test starts."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Undo what a shell does to jobs in the background: they, and all they start, ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

"""What holds for every test: Ctrl-C reaches what it starts, no example is timed, golden files."""

from __future__ import annotations

import signal

import hypothesis
import pytest

# A machine that is busy is no failure: nothing here is judged by the clock.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch of tests/leak_suite/test_golden.py."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files of reports anew"
    )


def pytest_configure() -> None:
    """Undo what a shell does to jobs in the background: they, and all they start, ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
